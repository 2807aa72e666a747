"""Pods of node-b cannot open connections to the API server; its kubelet and its service proxy can."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.lab.plan import CONTROL_PLANE
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ct state new ip saddr {pod_range('node-b')} ip daddr {CONTROL_PLANE.address} drop; }}"
    )
    return nft_table(lab.machines["node-b"], chain)


FAULT = Fault(
    name="api-cut-from-pods",
    sentence="pods of node-b cannot reach the API server",
    plant=_plant,
    kills=("N2P-06",),
    every_mode=True,
)
