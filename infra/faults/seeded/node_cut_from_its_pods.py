"""Processes of node-b cannot open flows to the pods of node-b: a host firewall that closes too much."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.rows import THROUGH_CLUSTER_DNS, THROUGH_CLUSTER_IPS_FROM_HOSTS
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain output { type filter hook output priority filter - 5; policy accept;"
        f" ct state new ip daddr {pod_range('node-b')} drop; }}"
    )
    return nft_table(lab.machines["node-b"], chain)


FAULT = Fault(
    name="node-cut-from-its-pods",
    sentence="node-b's own processes cannot reach the pods on it",
    plant=_plant,
    kills=("N2P-01",),
    may_redden={
        **dict.fromkeys(
            (*THROUGH_CLUSTER_IPS_FROM_HOSTS, "SVC-01", "EPT-01", "EPT-02"),
            "the client host-b reaches no endpoint on its own node",
        ),
        **dict.fromkeys(("NPT-02", "NPT-03"), "a NodePort may lead the clients on node-b to a pod there"),
        "N2P-03": "hostnet-b is a process of node-b",
        "N2P-04": "the kubelet of node-b cannot look at its pods",
        **dict.fromkeys(
            THROUGH_CLUSTER_DNS,
            "cluster DNS may run on node-b, whose kubelet cannot look at it any more",
        ),
    },
)
