"""The way of most tools, to compare with: one exec into the client's pod for each probe, so many at a time.

Kinder than the tools themselves are: no kubectl is started for a probe, the exec stream is opened in this process, and
the connecting program does no more than connect (TCP) or send one datagram and wait for the answer (UDP).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from kip_conformance.infra.probe.driver import ProbeTarget
from kip_conformance.infra.probe.exec_stream import run_in_pod
from kip_conformance.infra.probe.kubeconfig import ApiAccess, load_kubeconfig
from kip_conformance.infra.targets.protocol import Completed, Place

from benchmarks.probing import Result, targets_of

__all__ = ["AT_A_TIME", "matrix", "nothing"]

AT_A_TIME = 15

Commands = Mapping[tuple[Place, ProbeTarget], tuple[str, ...]]

_CONNECT = """
import socket, sys
host, port, protocol, timeout = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
s.settimeout(float(timeout))
try:
    s.connect((host, int(port)))
    if protocol == "udp":
        s.send(b"kip1 peer 00000000 00000000\\n")
        s.recv(2048)
except OSError:
    sys.exit(1)
"""


def matrix(kubeconfig: Path, places: Sequence[Place], *, is_open: bool, timeout: float = 1.0) -> Result:
    """Every place and every listener. Wrong is an exit code other than what `is_open` calls for."""
    commands: Commands = {
        (place, target): (
            *("/usr/bin/python3", "-I", "-S", "-c", _CONNECT),
            *(target.address, str(target.port), target.protocol, str(timeout)),
        )
        for place in places
        for target in targets_of(places)
    }
    return _measured(kubeconfig, commands, 0 if is_open else 1)


def nothing(kubeconfig: Path, places: Sequence[Place]) -> Result:
    """As many execs of a program that does nothing: less than this no tool can need that starts one for each probe."""
    commands: Commands = {(place, target): ("/bin/true",) for place in places for target in targets_of(places)}
    return _measured(kubeconfig, commands, 0)


def _measured(kubeconfig: Path, commands: Commands, code: int) -> Result:
    access = load_kubeconfig(kubeconfig)
    start = time.perf_counter()
    ended = asyncio.run(_run_all(access, commands))
    seconds = time.perf_counter() - start
    wrong = [done for done in ended if done.returncode != code]
    example = f"exit code {wrong[0].returncode}: {wrong[0].stderr.decode(errors='replace')[-200:]}" if wrong else ""
    return Result(seconds, len(ended), len(wrong), example)


async def _run_all(access: ApiAccess, commands: Commands) -> list[Completed]:
    free = asyncio.Semaphore(AT_A_TIME)

    async def one(place: Place, argv: tuple[str, ...]) -> Completed:
        assert place.pod is not None
        async with free:
            return await run_in_pod(access, place.pod, argv)

    return await asyncio.gather(*(one(place, argv) for (place, _), argv in commands.items()))
