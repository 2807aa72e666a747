"""The way from node-a's pods to node-b's takes 1,400 bytes and says so: "fragmentation needed" comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import pod_range
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster

_MTU = "1400"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    machine, there = lab.machines["node-a"], pod_range("node-b")
    address = there.partition("/")[0]
    words = run_checked(machine, ["ip", "-o", "route", "get", address]).decode().split()
    way = [word for key in ("via", "dev") if key in words for word in (key, words[words.index(key) + 1])]
    route = [there, *way, "metric", "1"]
    run_checked(machine, ["ip", "route", "add", *route, "mtu", "lock", _MTU])
    try:
        yield
    finally:
        run_checked(machine, ["ip", "route", "del", *route])


FAULT = Fault(
    name="path-mtu-lowered",
    sentence="packets above 1,400 bytes from node-a to node-b's pods draw 'fragmentation needed'",
    plant=_plant,
    kills=("MTU-01",),
)
