"""Pods of node-a cannot open flows to node-b itself, nor to what listens at its address; its pods they reach."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain input { type filter hook input priority filter - 5; policy accept;"
        f" ct state new ip saddr {pod_range('node-a')} drop; }}"
    )
    return nft_table(lab.machines["node-b"], chain)


FAULT = Fault(
    name="pods-cut-from-nodes",
    sentence="pods of node-a cannot reach the address of node-b",
    plant=_plant,
    kills=("N2P-02", "N2P-03"),
    may_redden={
        "N2P-10": "node-b sees nothing of the pods of node-a",
        "NPT-05": "node-b does not refuse what comes to a NodePort that nobody has",
    },
)
