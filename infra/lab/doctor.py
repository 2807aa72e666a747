"""What this machine must offer before a lab starts, and how to say it when it does not: one line, with the remedy."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault, HarnessError
from kip_conformance.infra.lab import cgroups
from kip_conformance.infra.lab.state import state_root

__all__ = ["CHECKS", "Check", "disk_errors_explained", "preflight"]

TOOLS = ("ip", "nft", "nsenter", "iptables", "conntrack", "ethtool", "runc", "bash", "tcpdump", "ipset")
# Two nodes' kubelets and containerds, the API server and kube-proxies: measured at 22.
INOTIFY_INSTANCES_NEEDED = 32
FREE_BYTES_NEEDED = 1 << 30
_FULL = 16 << 20


@dataclass(frozen=True, slots=True)
class Check:
    """One thing a lab needs: `ask` returns what was found, or raises EnvironmentFault with the remedy."""

    name: str
    ask: Callable[[], str]


def _root() -> str:
    if os.geteuid() != 0:
        raise EnvironmentFault("the lab makes namespaces and needs root: run it with sudo")
    return "yes"


def _linux() -> str:
    if os.uname().sysname != "Linux":
        raise EnvironmentFault(f"the lab needs Linux, this is {os.uname().sysname}: use --cluster existing there")
    return os.uname().release


def _tools() -> str:
    missing = [
        tool for tool in TOOLS if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None
    ]
    if missing:
        raise EnvironmentFault(
            f"missing {', '.join(missing)}: `make conformance` installs them, from infra/lab/packages.txt"
        )
    return f"{len(TOOLS)} found"


def _cni_plugins() -> str:
    folder = Path("/usr/lib/cni")
    if not (folder / "ptp").exists():
        raise EnvironmentFault(f"no CNI plugins in {folder}: install the package containernetworking-plugins")
    return str(folder)


def _cgroups() -> str:
    return f"v{cgroups.require()}"


def _inotify() -> str:
    limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    used = _inotify_in_use()
    if limit - used < INOTIFY_INSTANCES_NEEDED:
        raise EnvironmentFault(
            f"{used} of {limit} inotify instances of this user are in use and a lab needs {INOTIFY_INSTANCES_NEEDED}: "
            f"raise fs.inotify.max_user_instances, or take another lab down"
        )
    return f"{used} of {limit} in use"


def _inotify_in_use() -> int:
    """The limit is per user over all namespaces, so that every process of this user counts."""
    count = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if process.stat().st_uid == os.geteuid():
                    for descriptor in (process / "fd").iterdir():
                        with contextlib.suppress(OSError):
                            count += os.readlink(descriptor) == "anon_inode:inotify"
    return count


def _disk() -> str:
    folder = state_root()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_NEEDED:
        raise EnvironmentFault(
            f"{folder}: {free >> 20} MiB free, a lab needs {FREE_BYTES_NEEDED >> 20}: free some, or set KIP_STATE"
        )
    return f"{free >> 30} GiB free at {folder}"


CHECKS = (
    Check("Linux", _linux),
    Check("root", _root),
    Check("tools", _tools),
    Check("CNI plugins", _cni_plugins),
    Check("cgroups", _cgroups),
    Check("inotify", _inotify),
    Check("disk", _disk),
)


def preflight() -> None:
    """Raises EnvironmentFault with the first thing that this machine lacks."""
    for check in CHECKS:
        check.ask()


@contextlib.contextmanager
def disk_errors_explained(where: Path) -> Iterator[None]:
    """A full disk becomes one line that says where, whether this process met it or a program of the lab did."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(where) from error
        raise
    except HarnessError as error:
        # etcd, containerd and kubelet meet a full disk in ways of their own: they stop, or a pod never starts.
        if "no space left" in str(error).lower() or shutil.disk_usage(where).free < _FULL:
            raise _disk_full(where) from error
        raise


def _disk_full(where: Path) -> EnvironmentFault:
    free = shutil.disk_usage(where).free >> 20
    return EnvironmentFault(
        f"the disk of {where} is full ({free} MiB free): free some space, or set KIP_STATE to another"
    )
