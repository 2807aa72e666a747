"""As whom a container runs: its securityContext, the pod's, the image's USER, and the image's own /etc/passwd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.cell.problems import CellProblem

__all__ = ["User", "capabilities", "find_user"]

# What a container has when nothing is said: the defaults of containerd and Docker.
_DEFAULTS = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
)


@dataclass(frozen=True, slots=True)
class User:
    """Numbers, and the home folder that HOME is set to."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def find_user(container: Mapping[str, Any], pod_spec: Mapping[str, Any], image_user: str, root: Path) -> User:
    """Raises CellProblem when the image does not know its user, or root is asked for where it must not be."""
    own, shared = container.get("securityContext") or {}, pod_spec.get("securityContext") or {}
    name, _, group = image_user.partition(":")
    wanted = own.get("runAsUser", shared.get("runAsUser"))
    if wanted is not None:
        name, group = str(wanted), ""
    passwd = _lines(root / "etc/passwd")
    name = name or "0"
    entry = next((line for line in passwd if name in (line[0], line[2])), None)
    if entry is None and not name.isdigit():
        raise CellProblem(f"unable to find user {name}: no matching entries in passwd file")
    uid = int(entry[2]) if entry else int(name)
    gid = _group(group, root) if group else int(entry[3]) if entry else 0
    run_as_group = own.get("runAsGroup", shared.get("runAsGroup"))
    gid = gid if run_as_group is None else int(run_as_group)
    if own.get("runAsNonRoot", shared.get("runAsNonRoot")) and uid == 0:
        raise CellProblem("container has runAsNonRoot and image will run as root")
    login = entry[0] if entry else ""
    members = [int(line[2]) for line in _lines(root / "etc/group") if login and login in line[3].split(",")]
    extra = [*(shared.get("supplementalGroups") or ()), *([shared["fsGroup"]] if "fsGroup" in shared else [])]
    groups = tuple(dict.fromkeys((gid, *members, *(int(one) for one in extra))))
    return User(uid, gid, groups, entry[5] if entry and len(entry) > 5 and entry[5] else "/")


def capabilities(container: Mapping[str, Any]) -> list[str]:
    """The names of what the container may do, with CAP_."""
    wanted = (container.get("securityContext") or {}).get("capabilities") or {}
    dropped = {_plain(name) for name in wanted.get("drop") or ()}
    kept = [] if "ALL" in dropped else [name for name in _DEFAULTS if name not in dropped]
    added = [_plain(name) for name in wanted.get("add") or ()]
    return [f"CAP_{name}" for name in dict.fromkeys([*kept, *added])]


def _plain(name: Any) -> str:
    return str(name).upper().removeprefix("CAP_")


def _group(name: str, root: Path) -> int:
    entry = next((line for line in _lines(root / "etc/group") if name in (line[0], line[2])), None)
    if entry is None and not name.isdigit():
        raise CellProblem(f"unable to find group {name}: no matching entries in group file")
    return int(entry[2]) if entry else int(name)


def _lines(path: Path) -> list[list[str]]:
    try:
        # Never through a link: it would be followed on the machine, not in the image.
        text = "" if path.is_symlink() or path.parent.is_symlink() else path.read_text(errors="replace")
    except OSError:
        return []
    found = [line.split(":") for line in text.splitlines()]
    return [line for line in found if len(line) >= 4 and line[2].isdigit()]
