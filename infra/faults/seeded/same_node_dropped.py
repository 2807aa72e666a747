"""Pods of node-a do not reach each other; everybody else does: port isolation left on, or hairpin filtering."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.rows import THROUGH_CLUSTER_DNS, THROUGH_CLUSTER_IPS
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    own = pod_range("node-a")
    chain = (
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ip saddr {own} ip daddr {own} drop; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


_ON_A = "clients on node-a reach no endpoint there"

FAULT = Fault(
    name="same-node-dropped",
    sentence="pods of node-a cannot reach each other",
    plant=_plant,
    kills=("P2P-01", "P2P-03", "IDN-04"),
    may_redden={
        "IDN-06": "pods of node-a reach no restarted pod there",
        "IDN-10": "nor each other on their second port",
        "IDN-05": "the same pairs, through a Service",
        "P2P-06": "no refusal is seen between pods of node-a",
        "P2P-07": "nor an echo reply",
        "SVC-04": "a hairpin is forwarded from node-a's pods to node-a's pods, too",
        "SVC-01": "clients on node-a reach no endpoint on node-a",
        "NPT-01": "a NodePort of node-a, asked from node-a, may choose an endpoint there",
        **dict.fromkeys(THROUGH_CLUSTER_DNS, "the cluster's DNS server may be a pod of node-a, too"),
        **dict.fromkeys(("NPT-03", "NPT-05", "AFF-01", "EPT-01", "EPT-02", "CTK-01", "MTU-01", "MTU-02"), _ON_A),
        **dict.fromkeys(THROUGH_CLUSTER_IPS, _ON_A),
    },
)
