"""One pod's loopback interface is down, as when nobody calls the loopback CNI plug-in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import inside_pod, place
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    victim = place(lab, "node-a-2")
    machine = lab.machines[victim.machine]
    enter = inside_pod(machine, victim.address)
    run_checked(machine, [*enter, "ip", "link", "set", "lo", "down"])
    try:
        yield
    finally:
        run_checked(machine, [*enter, "ip", "link", "set", "lo", "up"])


FAULT = Fault(
    name="loopback-down",
    sentence="the interface lo of node-a-2 is down",
    plant=_plant,
    kills=("NOD-04",),
    may_redden={"N2P-09": "a forwarded connection ends at 127.0.0.1 in the pod"},
    blinds=True,  # its prober cannot vouch for its listeners any more
)
