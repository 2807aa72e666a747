"""Fixtures of the fabric's packet tests: one network for all facts, and a bare supervisor for those that break it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kip_conformance.infra.fabric.reconcile import Fabric, reconcile
from kip_conformance.infra.lab.control import Control, start_supervisor
from kip_conformance.infra.lab.state import LabFolder, new_run_id
from kip_conformance.infra.targets.lab import remove_lab

from .packets import Packets
from .world import world


@contextmanager
def supervised() -> Iterator[Control]:
    """A supervisor without any machine."""
    if os.geteuid() != 0:
        pytest.fail("these tests make namespaces and need root", pytrace=False)
    folder = LabFolder.of(new_run_id())
    folder.path.mkdir(parents=True)
    control, lifeline = start_supervisor(folder)
    try:
        yield control
    finally:
        os.close(lifeline)
        remove_lab(folder)


@pytest.fixture
def bare() -> Iterator[Control]:
    with supervised() as control:
        yield control


@pytest.fixture(scope="session")
def fabric() -> Iterator[Fabric]:
    """The whole world of world.py, applied. Whoever changes it brings it back."""
    with supervised() as control:
        fabric = Fabric(control, control.folder.path / "fabric.json")
        reconcile(fabric, world())
        run = control.run
        # Secondary addresses are the machine's own business; a stand-in for whatever takes them up.
        for machine, address in (("web", "10.20.1.12"), ("router", "10.244.0.1"), ("onprem-node", "10.250.0.7")):
            assert run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], netns=f"m-{machine}").returncode == 0
        yield fabric


@pytest.fixture(scope="session")
def packets(fabric: Fabric) -> Iterator[Packets]:
    """Somebody listens on every machine: TCP 80, 443, 8080, UDP 5000, and IP protocol 47."""
    packets = Packets(fabric.executor)  # type: ignore[arg-type]
    state = world()
    for machine in dict.fromkeys([i.machine for i in state.interfaces] + [h.machine for h in state.hosts]):
        for protocol, port in (("tcp", 80), ("tcp", 443), ("tcp", 8080), ("udp", 5000), ("raw", 47)):
            packets.listen(machine, protocol, port)
    yield packets
    packets.close()
