"""Memory of a lab: the proportional set size of every process below its supervisor.

PSS counts a page that several processes share once in all, so the sum is what the machine would get back, files of the
page cache and of tmpfs aside. A second lab beside the first shares its programs' pages and makes both look smaller.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kip_conformance.infra.errors import HarnessError

__all__ = ["below", "kernel_memory", "other_labs", "pss", "pss_of", "supervisor_of"]

PROC = Path("/proc")


def supervisor_of(folder: Path) -> int:
    """The process id, as seen from here, of the supervisor of the lab in `folder`. Raises HarnessError without one."""
    for pid, folder_of in _supervisors():
        if folder_of == str(folder):
            return pid
    raise HarnessError(f"no supervisor of {folder} runs")


def other_labs(*run_ids: str) -> list[str]:
    """The names of labs that run now, these aside."""
    return sorted({Path(folder).name for _, folder in _supervisors()} - set(run_ids))


def _supervisors() -> Iterator[tuple[int, str]]:
    for process in PROC.iterdir():
        with contextlib.suppress(OSError, ValueError):
            argv = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "kip_conformance.infra.lab.supervisor" in argv:
                yield int(process.name), argv[argv.index("--folder") + 1]


def below(ancestor: int) -> list[int]:
    """A process and all its descendants. Orphans of a PID namespace become children of its first process."""
    children: dict[int, list[int]] = {}
    for process in PROC.iterdir():
        with contextlib.suppress(OSError, ValueError):
            # The name is in parentheses and may hold anything; the parent is the second field after it.
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(process.name))
    found, queue = [], [ancestor]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


_KERNELS = ("SUnreclaim", "KernelStack", "PageTables", "Percpu")


def kernel_memory() -> float:
    """MiB that the whole kernel has for itself (proc(5), /proc/meminfo): what namespaces and their devices are in.

    Other work on the machine is in it, and what can be reclaimed is not.
    """
    lines = (line.split() for line in (PROC / "meminfo").read_text().splitlines())
    sizes = {line[0].rstrip(":"): int(line[1]) for line in lines}
    return sum(sizes[name] for name in _KERNELS) / 1024


def pss(ancestor: int) -> dict[str, float]:
    """MiB by program name, of a process and all its descendants; one that ends meanwhile is left out."""
    sizes: dict[str, float] = {}
    for pid in below(ancestor):
        with contextlib.suppress(OSError):
            size = pss_of(pid)
            name = (PROC / str(pid) / "comm").read_text().strip()
            sizes[name] = sizes.get(name, 0.0) + size
    return sizes


def pss_of(pid: int) -> float:
    """MiB of one process. Raises OSError when it has gone."""
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) / 1024
