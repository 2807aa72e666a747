"""Node-b goes on answering the HostPorts of deleted pods: what leads to no pod goes to one of old."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, place
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.workloads.host_ports import MAPPED_RANGE


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    old = place(lab, "node-b-2")
    address = lab.machines["node-b"].addresses[0]
    # After the translation of HostPorts that are there: a packet that it translated does not come here.
    chain = (
        "chain prerouting { type nat hook prerouting priority dstnat + 5; policy accept;"
        f" ip daddr {address} tcp dport {MAPPED_RANGE} dnat to {old.address}:{old.ports[0]}; }}"
    )
    return nft_table(lab.machines["node-b"], chain)


FAULT = Fault(
    name="host-port-left-behind",
    sentence="node-b answers HostPorts that no pod has any more",
    plant=_plant,
    kills=("HPT-05",),
    may_redden={"HPT-04": "it asks at the machine's address, where its own HostPort is not"},
)
