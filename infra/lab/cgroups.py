"""The lab's control groups, on cgroup v1 and v2: one group per lab, below it one per machine for kubelet to fill."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

__all__ = ["ROOT", "cgroup_version", "create", "known_runs", "lab_group", "leftovers", "remove"]

ROOT = Path("/sys/fs/cgroup")
PREFIX = "kip-"
# What kubelet refuses to start without on v2; whatever else the kernel offers is enabled as well.
_V2_WANTED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def cgroup_version(root: Path = ROOT) -> int:
    """1 or 2: a unified hierarchy has its controllers file at the top."""
    return 2 if (root / "cgroup.controllers").exists() else 1


def lab_group(run_id: str) -> str:
    """The name of a lab's group in every hierarchy."""
    return PREFIX + run_id


def _hierarchies(root: Path) -> list[Path]:
    """Where groups can be: on v1 also the v2 mount that tracks processes only, for runc mirrors its groups there."""
    if cgroup_version(root) == 2:
        return [root]
    return [path for path in sorted(root.iterdir()) if path.is_dir() and not path.is_symlink()]


def _controlled(root: Path) -> list[Path]:
    """The hierarchies that have controllers, in which the lab's own groups are made."""
    return [path for path in _hierarchies(root) if path.name != "unified"]


def create(run_id: str, machines: list[str], root: Path = ROOT) -> None:
    """Make the lab's group and one below it per machine, ready for kubelet. Raises OSError."""
    for hierarchy in _controlled(root):
        top = hierarchy / lab_group(run_id)
        for group in [top, *(top / machine for machine in machines)]:
            group.mkdir(exist_ok=True)
            if cgroup_version(root) == 2:
                _delegate(group.parent)
            elif hierarchy.name.split(",")[0] == "cpuset" or (group / "cpuset.cpus").exists():
                # A v1 cpuset starts empty, and nothing can run in an empty one.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    (group / name).write_text((group.parent / name).read_text())
        if cgroup_version(root) == 2:
            for machine in machines:
                _delegate(top / machine)


def _delegate(group: Path) -> None:
    """Enable every wanted controller for the children of `group` (v2)."""
    offered = (group / "cgroup.controllers").read_text().split()
    enabled = (group / "cgroup.subtree_control").read_text().split()
    for controller in _V2_WANTED:
        if controller in offered and controller not in enabled:
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def remove(run_id: str, root: Path = ROOT, *, within: float = 5.0) -> list[Path]:
    """Remove the lab's groups, deepest first; returns those that still hold processes after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        left = [path for path in leftovers(run_id, root) if not _remove_tree(path)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)  # the kernel frees a group a moment after its last process was reaped


def _remove_tree(top: Path) -> bool:
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    return not top.exists()


def leftovers(run_id: str, root: Path = ROOT) -> list[Path]:
    """The lab's groups that exist now, one per hierarchy."""
    return [path for hierarchy in _hierarchies(root) if (path := hierarchy / lab_group(run_id)).exists()]


def known_runs(root: Path = ROOT) -> list[str]:
    """The runs that have a group in any hierarchy, dead ones too."""
    found = {
        path.name.removeprefix(PREFIX) for hierarchy in _hierarchies(root) for path in hierarchy.glob(f"{PREFIX}*")
    }
    return sorted(found)
