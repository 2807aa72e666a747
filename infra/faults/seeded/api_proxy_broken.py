"""The API server itself reaches no pod of node-b; kubelets, and so logs and exec, it reaches."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.lab.plan import CONTROL_PLANE
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ct state new ip saddr {CONTROL_PLANE.address} ip daddr {pod_range('node-b')} drop; }}"
    )
    return nft_table(lab.machines["node-b"], chain)


FAULT = Fault(
    name="api-proxy-broken",
    sentence="the API server cannot open connections to pods of node-b",
    plant=_plant,
    kills=("N2P-05",),
)
