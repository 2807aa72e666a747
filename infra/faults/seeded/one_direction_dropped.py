"""New flows from pods of node-b to pods of node-a vanish; the other direction works, replies included."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.rows import THROUGH_CLUSTER_IPS
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ct state new ip saddr {pod_range('node-b')} ip daddr {pod_range('node-a')} drop; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


_FROM_B = "clients on node-b reach no endpoint on node-a"

FAULT = Fault(
    name="one-direction-dropped",
    sentence="flows that pods of node-b open towards pods of node-a are dropped",
    plant=_plant,
    kills=("P2P-02", "P2P-03", "IDN-04"),
    may_redden={
        "IDN-06": "pods of node-b reach no restarted pod of node-a",
        "IDN-10": "nor any pod of node-a on its second port",
        "NOD-02": "a container of node-b connects to a pod of node-a first",
        "IDN-05": "the same pairs, through a Service",
        "P2P-06": "no refusal returns to a client on node-b either",
        "P2P-07": "an echo request is a new flow, too",
        "SVC-01": "clients on node-b reach no endpoint on node-a through a Service either",
        "NPT-01": "a NodePort of node-a, asked from node-b, may forward to node-a",
        **dict.fromkeys(
            ("NPT-03", "NPT-05", "AFF-01", "EPT-01", "EPT-02", "CTK-01", "CTK-03", "MTU-01", "MTU-02"), _FROM_B
        ),
        **dict.fromkeys(THROUGH_CLUSTER_IPS, _FROM_B),
    },
)
