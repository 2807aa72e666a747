"""A container of a pod as runc's config.json (OCI runtime specification, version 1.0.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.cell.quantities import bytes_of, cores_of
from kip_conformance.infra.cell.users import User

__all__ = ["Container", "Mount", "Namespaces", "Process", "exec_process", "limits", "runc_config"]

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What kubelet has: a container with fewer than this many shares would never run.
_LEAST_SHARES, _LEAST_QUOTA, _PERIOD = 2, 1000, 100_000
_PIDS = 4096
"""Processes and threads in one container, when the machine's own limit is larger."""
_MASKED = (
    *("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
    *("/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"),
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of the machine in the container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Paths of the pod's namespaces; an empty one is the machine's own, which the container shares."""

    network: str = ""
    ipc: str = ""
    uts: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """What runs in a container, and as whom."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    user: User
    capabilities: Sequence[str]
    has_terminal: bool = False
    no_new_privileges: bool = False
    oom_score: int = 0


@dataclass(frozen=True, slots=True)
class Container:
    """Everything that one config.json says."""

    root: str
    process: Process
    namespaces: Namespaces
    cgroup: str
    resources: Mapping[str, Any]
    mounts: Sequence[Mount] = field(default_factory=tuple)
    read_only_root: bool = False
    has_cgroup_namespace: bool = False


def runc_config(container: Container) -> dict[str, Any]:
    paths = {"network": container.namespaces.network, "ipc": container.namespaces.ipc, "uts": container.namespaces.uts}
    namespaces: list[dict[str, str]] = [{"type": "pid"}, {"type": "mount"}]
    if container.has_cgroup_namespace:
        namespaces.append({"type": "cgroup"})
    namespaces += [{"type": kind, "path": path} for kind, path in paths.items() if path]
    return {
        "ociVersion": "1.0.2",
        "process": exec_process(container.process),
        "root": {"path": container.root, "readonly": container.read_only_root},
        "mounts": [*_system_mounts(), *(_bind(one) for one in container.mounts)],
        "linux": {
            "namespaces": namespaces,
            "cgroupsPath": container.cgroup,
            "resources": {
                **container.resources,
                "devices": [{"allow": False, "access": "rwm"}],  # runc adds those that every container has
            },
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
        },
    }


def exec_process(process: Process) -> dict[str, Any]:
    """One process of a container, as config.json and `runc exec --process` have it."""
    user = process.user
    held = list(process.capabilities)
    env = dict(process.env)
    env.setdefault("HOME", user.home)
    lines = [f"{name}={value}" for name, value in env.items()]
    if "PATH" not in env:
        lines.insert(0, _PATH)
    if process.has_terminal and "TERM" not in env:
        lines.append("TERM=xterm")
    # Without root's number nothing is held at once, as after any setuid: only what files give can be had.
    effective = held if user.uid == 0 else []
    return {
        "terminal": process.has_terminal,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": list(process.argv),
        "env": lines,
        "cwd": process.cwd,
        "capabilities": {"bounding": held, "effective": effective, "permitted": effective},
        "noNewPrivileges": process.no_new_privileges,
        "oomScoreAdj": process.oom_score,
    }


def limits(resources: Mapping[str, Any], pids: int = _PIDS) -> dict[str, Any]:
    """`resources` of a container as runc's: memory and cpu limits, and shares from the cpu request, as kubelet does.

    Raises CellProblem for what is no quantity.
    """
    most, wanted = resources.get("limits") or {}, resources.get("requests") or {}
    cpu: dict[str, int] = {}
    asked = wanted.get("cpu", most.get("cpu"))
    cpu["shares"] = max(_LEAST_SHARES, int(cores_of(asked) * 1024)) if asked is not None else _LEAST_SHARES
    if "cpu" in most and cores_of(most["cpu"]) > 0:
        cpu |= {"period": _PERIOD, "quota": max(_LEAST_QUOTA, int(cores_of(most["cpu"]) * _PERIOD))}
    made: dict[str, Any] = {"cpu": cpu, "pids": {"limit": pids}}
    if "memory" in most and bytes_of(most["memory"]) > 0:
        made["memory"] = {"limit": bytes_of(most["memory"])}
    return made


def _bind(mount: Mount) -> dict[str, Any]:
    options = ["rbind", "rprivate", "ro" if mount.read_only else "rw"]
    return {"destination": mount.target, "type": "bind", "source": mount.source, "options": options}


def _system_mounts() -> list[dict[str, Any]]:
    def one(target: str, kind: str, *options: str, source: str = "") -> dict[str, Any]:
        return {"destination": target, "type": kind, "source": source or kind, "options": list(options)}

    return [
        one("/proc", "proc", "nosuid", "noexec", "nodev"),
        one("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        one("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        one("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        one("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
    ]
