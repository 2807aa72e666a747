"""node-b goes on answering the NodePorts of deleted Services: what no Service translates goes to a pod of old."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, place
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    old = place(lab, "node-b-2")
    address = lab.machines["node-b"].addresses[0]
    # After the service proxy's own translation: a packet that it translated does not come here.
    chain = (
        "chain prerouting { type nat hook prerouting priority dstnat + 5; policy accept;"
        f" ip daddr {address} meta l4proto {{ tcp, udp }} th dport 30000-32767 dnat to {old.address}:{old.ports[0]}; }}"
    )
    return nft_table(lab.machines["node-b"], chain)


FAULT = Fault(
    name="node-port-left-behind",
    sentence="node-b answers NodePorts that no Service has any more",
    plant=_plant,
    kills=("NPT-05",),
    may_redden={"CTK-03": "its flow is answered before there is an endpoint"},
    every_mode=True,
)
