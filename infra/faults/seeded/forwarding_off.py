"""node-a does not forward what one of its pods sends: the switch of the interface towards that pod is off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.rows import THROUGH_CLUSTER_IPS
from kip_conformance.infra.faults.tampering import place
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    victim = place(lab, "node-a-2")
    machine = lab.machines[victim.machine]
    route = run_checked(machine, ["ip", "-o", "route", "get", victim.address]).decode().split()
    switch = f"/proc/sys/net/ipv4/conf/{route[route.index('dev') + 1]}/forwarding"
    run_checked(machine, ["tee", switch], stdin=b"0\n")
    try:
        yield
    finally:
        run_checked(machine, ["tee", switch], stdin=b"1\n")


_SENDS_NOTHING = "node-a-2 reaches nothing beyond its node's own addresses, and answers nobody"
FAULT = Fault(
    name="forwarding-off",
    sentence="forwarding is off on node-a's interface towards node-a-2",
    plant=_plant,
    kills=("CNI-03", "P2P-01", "P2P-02", "P2P-03"),
    may_redden=dict.fromkeys(
        (
            *("IDN-04", "IDN-05", "IDN-06", "IDN-08", "IDN-10", "P2P-06", "P2P-07"),
            *("SVC-01", "SVC-02", "SVC-04", "NPT-01", *THROUGH_CLUSTER_IPS),
            *("N2P-02", "N2P-10", "N2P-03", "N2P-04", "N2P-05", "NPT-02", "NPT-03", "NPT-05"),
            *("EPT-01", "EPT-02", "AFF-01", "CTK-01", "CTK-03"),
            *("DNS-01", "DNS-02", "DNS-05", "DNS-06", "DNS-07", "MTU-01", "MTU-02"),
        ),
        _SENDS_NOTHING,
    ),
)
