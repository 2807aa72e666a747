"""Pod traffic that leaves node-a is masqueraded: servers on other nodes see the node, not the pod."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain postrouting { type nat hook postrouting priority srcnat; policy accept;"
        f" ip saddr {pod_range('node-a')} ip daddr {pod_range('node-b')} masquerade; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="snat-on-pod-traffic",
    sentence="node-a masquerades what its pods send to pods of node-b",
    plant=_plant,
    kills=("IDN-04",),
    may_redden={"IDN-05": "what a Service sends on to node-b takes the same way"},
)
