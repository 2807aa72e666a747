"""Probers as local processes, each in a network namespace of its own where that can be had; engine.py asks them.

As root the namespaces are joined by a bridge in one more and belong to a supervisor, so that nothing is left however
this process ends; without root the probers are on loopback addresses.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.probe import prober
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.targets.protocol import HeldProcess, Machine, Place

from benchmarks.fabric import supervisor

__all__ = ["SILENT", "is_apart", "local_driver"]

SILENT = "198.18.255.254"
"""An address of RFC 2544's range that is in the namespaces' subnet and that nobody has."""

_PROBER = (sys.executable, "-I", "-S", str(Path(prober.__file__).resolve()))
_PORTS = (28080, 28081)
_HUB = "hub"


class _Room:
    """A network namespace of a supervisor, as much of a Machine as a driver uses."""

    def __init__(self, control: Control, netns: str) -> None:
        self._control, self._netns = control, netns

    def open(self, argv: Sequence[str]) -> HeldProcess:
        return self._control.open(argv, netns=self._netns)


class _Here:
    """This machine's own network, likewise."""

    def open(self, argv: Sequence[str]) -> HeldProcess:
        return _Local(argv)


class _Local:
    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin, self.stdout = self._process.stdin.fileno(), self._process.stdout.fileno()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def is_apart() -> bool:
    """Whether probers get namespaces of their own."""
    return os.geteuid() == 0


@contextlib.contextmanager
def local_driver(count: int) -> Iterator[Driver]:
    """A driver of `count` local probers with its channels open. Raises HarnessError when one does not start."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kip-bench-")))
        rooms: list[tuple[_Room | _Here, str]] = [(_Here(), f"127.0.0.{10 + number}") for number in range(count)]
        if is_apart():
            rooms = _joined_namespaces(stack.enter_context(supervisor()), count)
        places, machines = [], {}
        for number, (room, address) in enumerate(rooms):
            # In namespaces all listen on the same ports; on one machine each needs its own.
            ports = _PORTS if is_apart() else tuple(port + 2 * number for port in _PORTS)
            # Who sends to 127.0.0.x and is bound to nothing has 127.0.0.1 for a source.
            sources = (address,) if is_apart() else (address, "127.0.0.1")
            place = Place(f"p{number}", "host", f"m{number}", address, sources, ports, str(folder / f"{number}"))
            stack.callback(_start(room, place).close)
            places.append(place)
            machines[place.machine] = room
        driver = Driver(
            places, cast(Mapping[str, Machine], machines), folder / "none", worker="bench", host_prober=_PROBER
        )
        stack.enter_context(driver)
        driver.open()
        yield driver


def _start(room: _Room | _Here, place: Place) -> HeldProcess:
    """The resident prober of a place, once its listeners answer."""
    argv = [*_PROBER, "serve", "--name", place.name, "--socket", place.socket]
    argv += [word for port in place.ports for word in ("--port", str(port))]
    held = room.open(argv)
    said = os.read(held.stdout, 4096)
    if b"ready" not in said:
        held.close()
        raise HarnessError(f"prober {place.name} did not start: {said.decode(errors='replace').strip() or 'silence'}")
    return held


def _joined_namespaces(control: Control, count: int) -> list[tuple[_Room | _Here, str]]:
    """`count` namespaces on one bridge, with the address of each."""
    names = [f"room{number}" for number in range(count)]
    control.add_netns({name: {} for name in (_HUB, *names)})
    _ip(control, _HUB, ["link add name bridge0 type bridge", "link set dev bridge0 up"])
    for number, name in enumerate(names):
        _ip(
            control,
            _HUB,
            [
                f"link add name v{number} type veth peer name eth0 netns {name}",
                f"link set dev v{number} master bridge0 up",
            ],
        )
        _ip(
            control,
            name,
            [
                "link set dev lo up",
                "link set dev eth0 up",
                f"address add 198.18.0.{number + 1}/16 dev eth0",
                # A permanent neighbour that does not exist: packets leave and nobody answers, as when dropped.
                f"neighbour add {SILENT} lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
            ],
        )
    return [(_Room(control, name), f"198.18.0.{number + 1}") for number, name in enumerate(names)]


def _ip(control: Control, netns: str, lines: Sequence[str]) -> None:
    done = control.run(["ip", "-n", netns, "-batch", "-"], stdin="\n".join(lines).encode() + b"\n")
    if done.returncode != 0:
        raise HarnessError(f"namespace {netns}: ip failed: {done.stderr.decode(errors='replace').strip()}")
