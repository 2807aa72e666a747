"""Fixtures of the fabric's packet tests: one network for all facts, and a bare supervisor for those that break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kip_conformance.infra.fabric.names import machine_namespace, nic_namespace
from kip_conformance.infra.fabric.nic import METADATA, RESOLVER, TIME
from kip_conformance.infra.fabric.reconcile import Fabric, reconcile
from kip_conformance.infra.lab.control import Control

from .packets import Packets
from .world import MAIN, world

# What machines set up by themselves: addresses that are only routed to them, and whom a site's gateway would ask.
SETTINGS = (
    ("web", "addr add 10.20.1.12/32 dev lo"),
    ("bare", "addr add 10.20.1.77/32 dev lo"),
    ("router", "addr add 10.244.0.1/32 dev lo"),
    ("app", "addr add 10.245.0.1/32 dev lo"),
    ("webserver", "addr add 10.20.1.20/32 dev lo"),
    ("onprem-node", "addr add 10.250.0.7/32 dev lo"),
    ("onprem-gw", "addr add 10.20.64.5/32 dev lo"),
    ("onprem-gw", "addr add 172.29.1.10/32 dev lo"),
    ("onprem-gw", "route add 198.51.100.0/24 via 169.254.0.1 dev t-vpn onlink src 192.168.50.1"),
    ("onprem-gw", "route add 192.0.2.0/24 via 169.254.0.1 dev t-vpn onlink src 192.168.50.1"),
    ("onprem-gw", "route add 172.28.0.0/18 via 169.254.0.1 dev t-vpn onlink src 192.168.50.1"),
)


@pytest.fixture
def bare(supervised) -> Iterator[Control]:
    with supervised() as control:
        yield control


@pytest.fixture(scope="session")
def fabric(supervised) -> Iterator[Fabric]:
    """The whole world of world.py, applied. Whoever changes it brings it back."""
    with supervised() as control:
        fabric = Fabric(control, control.folder.path / "fabric.json")
        reconcile(fabric, world())
        for machine, line in SETTINGS:
            done = control.run(["ip", *line.split()], netns=machine_namespace(machine))
            assert done.returncode == 0, done.stderr
        yield fabric


@pytest.fixture(scope="session")
def packets(fabric: Fabric) -> Iterator[Packets]:
    """Somebody listens on every machine: TCP 80, 443, 8080, UDP 5000, and IP protocol 47."""
    packets = Packets(fabric.executor)  # type: ignore[arg-type]
    state = world()
    for machine in dict.fromkeys([i.machine for i in state.interfaces] + [h.machine for h in state.hosts]):
        for protocol, port in (("tcp", 80), ("tcp", 443), ("tcp", 8080), ("udp", 5000), ("raw", 47)):
            packets.listen(machine, protocol, port)
    nic = nic_namespace("eni-quiet")
    for protocol, address, port in (
        ("tcp", METADATA, 80),
        ("udp", RESOLVER, 53),
        ("udp", MAIN.resolver, 53),
        ("tcp", MAIN.resolver, 53),
        ("udp", TIME, 123),
    ):
        packets.listen("", protocol, port, where=nic, address=address)
    yield packets
    packets.close()
