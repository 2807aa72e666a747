"""Datagrams between the nodes' pods vanish; TCP works."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.rows import THROUGH_CLUSTER_DNS, THROUGH_CLUSTER_IPS_OVER_UDP
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ip saddr {pod_range('node-a')} ip daddr {pod_range('node-b')} meta l4proto udp drop; }}"
    )
    return nft_table(lab.machines["node-b"], chain)


_SAME_WAY = "their UDP cases reach the same pods"

FAULT = Fault(
    name="udp-dropped",
    sentence="UDP from pods of node-a to pods of node-b is dropped",
    plant=_plant,
    kills=("P2P-03", "IDN-04"),
    may_redden={
        "IDN-10": "its UDP case is between the same pods",
        "IDN-05": "its UDP case reaches the same pods",
        **dict.fromkeys(THROUGH_CLUSTER_DNS, "cluster DNS is asked over UDP, and may run on node-b"),
        **dict.fromkeys(("MTU-01", "MTU-02"), "their datagrams are between the same pods"),
        "SVC-01": "its UDP case reaches the same pods",
        **dict.fromkeys(("NPT-01", "NPT-03", "NPT-05", "CTK-01", "CTK-03"), _SAME_WAY),
        **dict.fromkeys(THROUGH_CLUSTER_IPS_OVER_UDP, _SAME_WAY),
    },
)
