"""Another program listens where the prober of one pod should, and answers in its form under another name."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import inside_pod, place
from kip_conformance.infra.lab.attempts import Attempts
from kip_conformance.infra.probe import prober
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.protocol import Place, Protocol4

_SOCKET = "/run/kip-impostor.sock"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    victim = place(lab, "node-b")
    machine = lab.machines[victim.machine]
    ports = [word for port in victim.ports for word in ("--port", str(port))]
    argv = [sys.executable, "-I", "-S", os.path.realpath(Path(prober.__file__)), "serve", "--name", "impostor"]
    with lab.driver() as driver:
        for port in victim.ports:
            driver.set_listener(victim, "tcp", port, is_open=False)
            driver.set_listener(victim, "udp", port, is_open=False)
        held = machine.open([*inside_pod(machine, victim.address), *argv, "--socket", _SOCKET, *ports])
        try:
            with open(held.stdout, closefd=False) as said:
                said.readline()  # it says one line once it listens
            yield
        finally:
            held.close()
            for port in victim.ports:
                _listen_again(driver, victim, "tcp", port)
                _listen_again(driver, victim, "udp", port)


def _listen_again(driver: Driver, victim: Place, protocol: Protocol4, port: int) -> None:
    """The impostor is killed, which takes a moment; until then the port is its own."""
    attempts = Attempts(within=10)
    while True:
        try:
            driver.set_listener(victim, protocol, port, is_open=True)
            return
        except HarnessError:
            if attempts.over():
                raise
        attempts.pause()


FAULT = Fault(
    name="impostor",
    sentence="an impostor answers at the ports of the place node-b",
    plant=_plant,
    is_harness=True,
)
