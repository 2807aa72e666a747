"""Other nodes cannot open flows to the pods of node-b: a firewall that lets in pod ranges alone."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.rows import THROUGH_CLUSTER_IPS_FROM_HOSTS
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-a"].addresses[0]
    chain = (
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ct state new ip saddr {address} ip daddr {pod_range('node-b')} drop; }}"
    )
    return nft_table(lab.machines["node-b"], chain)


_TRANSLATED = "node-a's address is the source of what it translates, too"

FAULT = Fault(
    name="node-cut-from-other-pods",
    sentence="node-a cannot reach the pods of node-b",
    plant=_plant,
    kills=("N2P-02", "N2P-03"),
    may_redden={
        "DNS-05": "hostNetwork pods of node-a reach no DNS server on node-b",
        "SVC-01": "the client host-a reaches no endpoint on node-b",
        **dict.fromkeys(("NPT-01", "NPT-02", "NPT-03", "NPT-05", "AFF-01", "CTK-01", "CTK-03", "MTU-02"), _TRANSLATED),
        **dict.fromkeys(
            (*THROUGH_CLUSTER_IPS_FROM_HOSTS, "EPT-01", "EPT-02"), "the client host-a reaches no endpoint on node-b"
        ),
    },
)
