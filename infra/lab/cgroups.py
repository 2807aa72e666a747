"""The lab's control groups, on cgroup v1 and v2: one group per lab, below it one per machine for kubelet to fill."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault

__all__ = [
    "ROOT",
    "are_used",
    "cgroup_version",
    "create",
    "joining",
    "known_runs",
    "lab_group",
    "leftovers",
    "remove",
    "remove_machine",
    "require",
]

ROOT = Path("/sys/fs/cgroup")
PREFIX = "kip-"
# A node without one of these would not be what users have: kubelet counts on each when it makes a pod's group.
_NEEDED = ("cpu", "cpuset", "memory", "pids")
# Kubelet also wants huge pages wherever the root of v2 offers them; runc limits io where it can.
_HANDED_DOWN = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")

# On v1 each of a lab's programs is a process of its own to the scheduler (1024 shares at nice 0), and all pods of all
# nodes together are one group. With the 1024 shares that a group starts with, they starve on a busy machine: measured
# beside a build, probers answered 2,600 probes a second with 1024 shares and 6,900 with this.
# On v2 with systemd programs and pods are one group each, so that there is nothing to set right.
_V1_SHARES = 10 * 1024


def cgroup_version(root: Path = ROOT) -> int:
    """1 or 2: a unified hierarchy has its controllers file at the top."""
    return 2 if (root / "cgroup.controllers").exists() else 1


def require(root: Path = ROOT) -> int:
    """The version, when a lab can be made there. Changes nothing.

    Raises EnvironmentFault with all that is missing, or with why v2 could not hand its controllers down to a lab: a
    group other than the true root either holds processes or has children with controllers, never both ("no internal
    processes" in the kernel's cgroup-v2 document). In a container with a cgroup namespace the top is such a group.
    """
    version = cgroup_version(root)
    if version == 1:
        missing = [controller for controller in _NEEDED if not (root / controller).is_dir()]
        if missing:
            raise EnvironmentFault(
                f"cgroup v1 without {', '.join(missing)}: mount it below {root}, or boot with cgroup v2"
            )
        return version
    offered = (root / "cgroup.controllers").read_text().split()
    missing = [controller for controller in _NEEDED if controller not in offered]
    if missing:
        raise EnvironmentFault(
            f"cgroup v2 at {root} without {', '.join(missing)}: a kernel may have them on v1 (boot with "
            f"cgroup_no_v1=all), a container must have them delegated to it"
        )
    closed = [controller for controller in _HANDED_DOWN if controller in offered and controller not in _enabled(root)]
    if closed and _cannot_open(root):
        raise EnvironmentFault(_internal_processes(root, closed))
    if not os.access(root, os.W_OK):
        raise EnvironmentFault(f"{root} cannot be written: a container must be privileged to run a lab")
    return version


def lab_group(run_id: str) -> str:
    """The name of a lab's group in every hierarchy."""
    return PREFIX + run_id


def _hierarchies(root: Path) -> list[Path]:
    """Where groups can be: on v1 also the v2 mount that tracks processes only, for runc mirrors its groups there."""
    if cgroup_version(root) == 2:
        return [root]
    # systemd's links, like cpu -> cpu,cpuacct, would show the same hierarchy again.
    return [path for path in sorted(root.iterdir()) if path.is_dir() and not path.is_symlink()] if root.is_dir() else []


def _controlled(root: Path) -> list[Path]:
    """The v1 hierarchies that have controllers, in which the lab's own groups are made."""
    return [path for path in _hierarchies(root) if path.name != "unified"]


def create(run_id: str, machines: list[str], root: Path = ROOT) -> None:
    """Make the lab's group and one below it per machine, ready for kubelet.

    Controllers that v2's root did not hand down so far stay handed down after the lab: others may have begun to use
    them meanwhile, and would lose their limits. Raises EnvironmentFault as `require` does, and OSError.
    """
    if require(root) == 1:
        for hierarchy in _controlled(root):
            _create_v1(hierarchy / lab_group(run_id), machines)
        return
    top = root / lab_group(run_id)
    _hand_down(root)
    for group in (top, *(top / machine for machine in machines)):
        group.mkdir(exist_ok=True)
        _hand_down(group)


_JOIN = 'for group in $0; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'
_LEAF = "system"
"""On v2, where a machine's own processes are: the group above it hands controllers down, and so may hold none."""


def joining(run_id: str, machine: str, argv: list[str], root: Path = ROOT) -> list[str]:
    """The command that runs `argv` in the group of `machine`, which `create` has made. Raises OSError."""
    groups = [hierarchy / lab_group(run_id) / machine for hierarchy in _controlled(root)]
    if cgroup_version(root) == 2:
        groups = [root / lab_group(run_id) / machine / _LEAF]
        groups[0].mkdir(exist_ok=True)
    return ["sh", "-c", _JOIN, " ".join(map(str, groups)), *argv]


def remove_machine(run_id: str, machine: str, root: Path = ROOT, *, within: float = 5.0) -> None:
    """Remove the groups of one machine, on which nothing runs any more."""
    deadline = time.monotonic() + within
    groups = [path / machine for path in leftovers(run_id, root)]
    while [path for path in groups if not _remove_tree(path)] and time.monotonic() < deadline:
        time.sleep(0.02)


def _create_v1(top: Path, machines: list[str]) -> None:
    for group in (top, *(top / machine for machine in machines)):
        group.mkdir(exist_ok=True)
        if (group / "cpuset.cpus").exists():
            # A v1 cpuset starts empty, and nothing can run in an empty one.
            for name in ("cpuset.cpus", "cpuset.mems"):
                (group / name).write_text((group.parent / name).read_text())
    if (top / "cpu.shares").exists():
        (top / "cpu.shares").write_text(f"{_V1_SHARES}\n")


def _enabled(group: Path) -> list[str]:
    return (group / "cgroup.subtree_control").read_text().split()


def _cannot_open(group: Path) -> bool:
    """Whether the rule of no internal processes binds this group now: only the true root has no type."""
    return (group / "cgroup.type").exists() and bool((group / "cgroup.procs").read_text().split())


def _internal_processes(group: Path, controllers: list[str]) -> str:
    return (
        f"control group {group} holds processes and so cannot hand down {', '.join(controllers)}: in a container, move "
        f"them to a group below it first, or start the container with the host's cgroup namespace"
    )


def _hand_down(group: Path) -> None:
    """Enable every wanted controller that `group` has for its children (v2)."""
    offered, enabled = (group / "cgroup.controllers").read_text().split(), _enabled(group)
    for controller in _HANDED_DOWN:
        if controller in offered and controller not in enabled:
            try:
                (group / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError as error:
                if error.errno == errno.EBUSY:
                    raise EnvironmentFault(_internal_processes(group, [controller])) from error
                raise EnvironmentFault(
                    f"control group {group} cannot hand down {controller}: {os.strerror(error.errno or 0)}"
                ) from error


def remove(run_id: str, root: Path = ROOT, *, within: float = 5.0) -> list[Path]:
    """Remove the lab's groups, deepest first; returns those that still hold processes after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        left = [path for path in leftovers(run_id, root) if not _remove_tree(path)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)  # the kernel frees a group a moment after its last process was reaped


def _remove_tree(top: Path) -> bool:
    with contextlib.suppress(OSError):
        for child in top.iterdir():
            if child.is_dir():
                _remove_tree(child)
        top.rmdir()
    return not top.exists()


def leftovers(run_id: str, root: Path = ROOT) -> list[Path]:
    """The lab's groups that exist now, one per hierarchy."""
    return [path for hierarchy in _hierarchies(root) if (path := hierarchy / lab_group(run_id)).exists()]


def are_used(run_id: str, root: Path = ROOT) -> bool:
    """Whether any process is in a group of the run: it lives then, wherever its folder is."""
    files = (file for path in leftovers(run_id, root) for file in path.rglob("cgroup.procs"))
    return any(_said(file) for file in files)


def _said(file: Path) -> str:
    """What a file of the kernel's says; nothing when its group has just gone."""
    try:
        return file.read_text()
    except OSError:
        return ""


def known_runs(root: Path = ROOT) -> list[str]:
    """The runs that have a group in any hierarchy, dead ones too."""
    found = {
        path.name.removeprefix(PREFIX) for hierarchy in _hierarchies(root) for path in hierarchy.glob(f"{PREFIX}*")
    }
    return sorted(found)
