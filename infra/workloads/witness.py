"""A witness: a process in a pod that asks targets again and again, also while nobody can speak to the pod.

What it is told is read afterwards. It needs a way to the pod at the beginning and at the end only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.infra.workloads.reading import ClusterReader

__all__ = ["Testimony", "Witness"]

_PYTHON = ("/usr/bin/python3", "-I", "-c")
_PAUSE, _PATIENCE = 0.1, 3.0
"""Seconds between two rounds, and for an answer: the kernel repeats a lost packet after one."""
_LIFE = 300.0
"""Seconds after which it ends by itself, should nobody come back for it."""

# One line for each attempt: seconds since the start, the target's name, who answered or why nobody did.
_WATCH = """
import json, os, socket, sys, time
pause, patience, life = map(float, sys.argv[1:4])
path, targets = sys.argv[4], json.loads(sys.argv[5])
start = time.monotonic()
def ask(address, port):
    try:
        with socket.create_connection((address, port), timeout=patience) as plain:
            plain.sendall(b"GET /who HTTP/1.0\\r\\n\\r\\n")
            said = b""
            while part := plain.recv(4096):
                said += part
        return json.loads(said.partition(b"\\r\\n\\r\\n")[2])["name"]
    except (OSError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
if os.path.exists(path + ".end"):
    os.remove(path + ".end")
with open(path, "w", buffering=1) as log:
    while time.monotonic() - start < life and not os.path.exists(path + ".end"):
        for name, address, port in targets:
            said = ask(address, port)
            log.write(json.dumps([time.monotonic() - start, name, said]) + chr(10))
        time.sleep(pause)
    log.write("null" + chr(10))
"""
_START = '/usr/bin/python3 -I -c "$0" "$@" </dev/null >/dev/null 2>&1 &'
_END = """
import sys, time
path, said = sys.argv[1], ""
open(path + ".end", "w").close()
end = time.monotonic() + 10
while time.monotonic() < end and not said.endswith("null" + chr(10)):
    time.sleep(0.1)
    with open(path) as log:
        said = log.read()
print(said, end="")
"""


@dataclass(frozen=True, slots=True)
class Testimony:
    """`attempts` are how often each target was asked, `strange` what was not the answer of one of its peers."""

    witness: str
    attempts: dict[str, int]
    strange: tuple[str, ...]
    longest_pause: float
    """Seconds between two attempts of one target, at most."""

    def __str__(self) -> str:
        return f"{self.witness}: {len(self.strange)} of {sum(self.attempts.values())}: {'; '.join(self.strange[:5])}"


class Witness:
    """A process in one pod that asks these TCP targets; `place` must have Python, as the resident probers have."""

    def __init__(self, api: ClusterReader, place: Place, targets: Sequence[ProbeTarget], *, mark: str) -> None:
        self._api, self._place, self._targets = api, place, tuple(targets)
        self._path = f"/run/kip-witness-{mark}"

    def start(self) -> None:
        """Raises HarnessError when it cannot be started."""
        asked = json.dumps([[one.name, one.address, one.port] for one in self._targets])
        self._run("/bin/sh", "-c", _START, _WATCH, *map(str, (_PAUSE, _PATIENCE, _LIFE)), self._path, asked)

    def end(self) -> Testimony:
        """End it and hear what it has seen. Raises HarnessError when it cannot be asked, or has ended before."""
        lines = [json.loads(line) for line in self._run(*_PYTHON, _END, self._path).splitlines()]
        if not lines or lines.pop() is not None:
            raise HarnessError(f"{self._place.name}: its witness did not end: {lines[-1:]}")
        peers = {one.name: one.peers for one in self._targets}
        times: dict[str, list[float]] = {name: [] for name in peers}
        for at, name, _ in lines:
            times[name].append(at)
        if silent := [name for name, seen in times.items() if not seen]:
            raise HarnessError(f"{self._place.name}: its witness never asked {', '.join(silent)}")
        return Testimony(
            self._place.name,
            {name: len(seen) for name, seen in times.items()},
            tuple(f"{name} at {at:.1f} s: {said}" for at, name, said in lines if said not in peers[name]),
            max(
                (late - early for seen in times.values() for early, late in pairwise(seen)),
                default=0.0,
            ),
        )

    def _run(self, *argv: str) -> str:
        ran = self._api.run(self._place, argv)
        if ran.exit_code != 0:
            raise HarnessError(f"{self._place.name}: a witness: {ran.refusal or ran.output.strip()[-300:]}")
        return ran.output
