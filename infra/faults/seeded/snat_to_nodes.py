"""Pod traffic that leaves node-a for another node itself is masqueraded: that node sees node-a, not the pod."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, place, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain postrouting { type nat hook postrouting priority srcnat; policy accept;"
        f" ip saddr {pod_range('node-a')} ip daddr {place(lab, 'host-b').address} masquerade; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="snat-to-nodes",
    sentence="node-a masquerades what its pods send to node-b itself",
    plant=_plant,
    kills=("N2P-10",),
)
