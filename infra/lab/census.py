"""What a lab has on this machine, counted while it lives, and what of that is still there when it should not be.

Nothing is asked of the code that removes it: processes, namespaces, control groups, files and mounts are looked for.
Namespaces that no process lives in, as the network's routers are, have no other holder than the lab's supervisor.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.judge.waits import WaitFailed, eventually
from kip_conformance.infra.lab.cgroups import PREFIX
from kip_conformance.infra.lab.state import LabFolder

__all__ = ["Census", "host_network", "processes_of", "take_census"]

_KINDS = ("net", "mnt", "pid")
_GROUPS = Path("/sys/fs/cgroup")
_OF_THE_HOST = {
    "link": ("ip", "-o", "link"),
    "route": ("ip", "route", "show", "table", "all"),
    "rule": ("ip", "rule"),
    "tunnel": ("ip", "tunnel"),
    "packet filter": ("nft", "list", "ruleset"),
}

Namespace = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Census:
    """`namespaces` are those that the lab's processes live in, `host` what this machine's own network had.

    The namespaces are held until `close`: the kernel gives the number of one that has gone to the next that is made,
    and another lab's would be taken for this one's.
    """

    folder: LabFolder
    namespaces: frozenset[Namespace]
    host: dict[str, frozenset[str]]
    _held: tuple[int, ...]

    def close(self) -> None:
        for number in self._held:
            os.close(number)

    def left(self, *, within: float = 10.0) -> tuple[str, ...]:
        """What is there `within` seconds after tear-down is over, in words; the kernel takes a moment with groups."""
        try:
            eventually(self._left, lambda found: not found, within=within)
        except WaitFailed as error:
            return tuple(str(line) for line in error.last) if isinstance(error.last, tuple) else (str(error.last),)
        return ()

    def _left(self) -> tuple[str, ...]:
        run = self.folder.run_id
        return (
            *(f"process {pid} ({line})" for pid, line in processes_of(run, self.namespaces)),
            *(f"control group {path}" for path in sorted(_GROUPS.glob(f"**/{PREFIX}{run}"))),
            *((f"folder {self.folder.path}",) if self.folder.path.exists() else ()),
            *(f"mount {line}" for line in _mounts() if str(self.folder.path) in line),
            *(f"{what}: {line}" for what, lines in host_network().items() for line in sorted(lines - self.host[what])),
        )


def take_census(folder: LabFolder, host: dict[str, frozenset[str]]) -> Census:
    """Count a lab that lives; `host` is what `host_network` said before it. Raises HarnessError when nothing is found:

    then nothing could be missed either.
    """
    own = {_namespace("self", kind) for kind in _KINDS}
    known: dict[Namespace, int] = {}
    grown = -1
    while grown < len(known):
        grown = len(known)
        for pid, _ in list(processes_of(folder.run_id, frozenset(known))):
            for kind in _KINDS:
                space = _namespace(pid, kind)
                if space is not None and space not in own and space not in known:
                    with contextlib.suppress(OSError):
                        known[space] = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    census = Census(folder, frozenset(known), host, tuple(known.values()))
    kinds = {kind for kind, _ in known}
    if kinds != set(_KINDS) or not list(_GROUPS.glob(f"**/{PREFIX}{folder.run_id}")):
        census.close()
        raise HarnessError(f"lab {folder.run_id}: of its processes, namespaces and control groups some were not found")
    return census


def host_network() -> dict[str, frozenset[str]]:
    """What this machine's own network has, by kind, line by line."""
    return {
        what: frozenset(subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines())
        for what, argv in _OF_THE_HOST.items()
    }


def processes_of(run: str, namespaces: frozenset[Namespace] = frozenset()) -> Iterator[tuple[str, str]]:
    """Processes, with their command lines, that name the run, are in its groups, or live in one of the namespaces."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            groups = (folder / "cgroup").read_text()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state in "ZX":  # it has ended, and waits to be asked after
            continue
        spaces = {_namespace(folder.name, kind) for kind in _KINDS}
        if run in line or f"{PREFIX}{run}" in groups or spaces & namespaces:
            yield folder.name, line


def _mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()


def _namespace(pid: str, kind: str) -> Namespace | None:
    try:
        return kind, Path(f"/proc/{pid}/ns/{kind}").readlink().name
    except OSError:
        return None
