"""Another program listens where the prober of one pod should, and answers in its form under another name."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import inside_pod, place
from kip_conformance.infra.probe import prober
from kip_conformance.infra.targets.lab import LabCluster

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
                driver.set_listener(victim, "tcp", port, is_open=True)
                driver.set_listener(victim, "udp", port, is_open=True)


FAULT = Fault(
    name="impostor",
    sentence="an impostor answers at the ports of the place node-b",
    plant=_plant,
    is_harness=True,
)
