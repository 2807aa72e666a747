"""The control groups of a pod's containers, on cgroup v1 and v2: one for the pod, below it one for each container.

They are made below the group in which the agent itself runs, or on v2 beside it: there a group with processes cannot
hand controllers down (the kernel's cgroup-v2 document, "no internal processes").
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ROOT", "container_group", "memory_used_up", "own_group", "prepare", "remove", "version"]

ROOT = Path("/sys/fs/cgroup")
_POD = "pod"
_CONTROLLERS = ("cpu", "memory", "pids")


def version(root: Path = ROOT) -> int:
    """1 or 2."""
    return 2 if (root / "cgroup.controllers").exists() else 1


def own_group(text: str, root: Path = ROOT) -> str:
    """Where the pod's groups go, out of /proc/self/cgroup: an absolute path within the hierarchy, without a `/` at
    its end.

    On v1 the hierarchies may differ; the one of the memory controller is followed, runc makes the path in each.
    """
    found = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            found[name] = path.rstrip("/")
    if version(root) == 2:
        own = found.get("", "")
        return os.path.dirname(own).rstrip("/") if own else ""
    return found.get("memory", "")


def container_group(parent: str, name: str) -> str:
    """What runc is told."""
    return f"{parent}/{_POD}/{name}"


def prepare(parent: str, root: Path = ROOT) -> None:
    """Make the pod's group, and on v2 hand the controllers down to it. Raises OSError."""
    if version(root) == 1:
        return  # runc makes what it needs in every hierarchy
    above = root / parent.lstrip("/")
    pod = above / _POD
    pod.mkdir(exist_ok=True)
    for group in (above, pod):
        offered = (group / "cgroup.controllers").read_text().split()
        enabled = (group / "cgroup.subtree_control").read_text().split()
        for controller in _CONTROLLERS:
            if controller in offered and controller not in enabled:
                with contextlib.suppress(OSError):  # a limit that cannot be had is said by runc when one asks for it
                    (group / "cgroup.subtree_control").write_text(f"+{controller}")


def memory_used_up(parent: str, name: str, root: Path = ROOT) -> bool:
    """Whether the kernel has killed something in the container because its memory was used up."""
    group = container_group(parent, name).lstrip("/")
    file = root / group / "memory.events" if version(root) == 2 else root / "memory" / group / "memory.oom_control"
    try:
        lines = dict(line.split() for line in file.read_text().splitlines())
    except (OSError, ValueError):
        return False
    return int(lines.get("oom_kill", "0")) > 0


def remove(parent: str, root: Path = ROOT) -> None:
    """Remove the pod's groups; one that still holds processes stays."""
    for top in _tops(parent, root):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def _tops(parent: str, root: Path) -> Iterator[Path]:
    below = f"{parent}/{_POD}".lstrip("/")
    if version(root) == 2:
        yield root / below
        return
    for hierarchy in root.iterdir() if root.is_dir() else ():
        if hierarchy.is_dir() and not hierarchy.is_symlink() and (hierarchy / below).is_dir():
            yield hierarchy / below
