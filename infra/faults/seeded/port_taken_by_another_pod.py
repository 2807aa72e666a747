"""One port of a pod is served by another pod of its node, as where pods share their node's ports."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, place
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    first, second = place(lab, "node-b"), place(lab, "node-b-2")
    # The port that Services do not use: nothing but the ports themselves is at fault.
    chain = (
        "chain prerouting { type nat hook prerouting priority dstnat; policy accept;"
        f" ip saddr != {first.address} ip daddr {second.address} meta l4proto {{ tcp, udp }}"
        f" th dport {second.ports[-1]} dnat to {first.address}; }}"
    )
    return nft_table(lab.machines[second.machine], chain)


FAULT = Fault(
    name="port-taken-by-another-pod",
    sentence="node-b answers on node-b-2's second port",
    plant=_plant,
    kills=("IDN-10",),
)
