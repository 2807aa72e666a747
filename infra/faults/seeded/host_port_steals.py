"""Node-a's HostPorts catch what is addressed to Services under their number."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, place
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.workloads.host_ports import MAPPED_RANGE


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    thief = place(lab, "node-a-2")
    # Before the service proxy; under another port, so that the thief is not one of the Service's own endpoints.
    chain = (
        "chain prerouting { type nat hook prerouting priority dstnat - 5; policy accept;"
        f" ip daddr {PLAN.services} tcp dport {MAPPED_RANGE} dnat to {thief.address}:{thief.ports[1]}; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="host-port-steals",
    sentence="node-a leads to one pod whatever is sent to a Service under the number of a HostPort",
    plant=_plant,
    kills=("HPT-10",),
    every_mode=True,
)
