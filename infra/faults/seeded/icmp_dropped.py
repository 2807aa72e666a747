"""node-b passes no ICMP echo on to its pods."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ip daddr {pod_range('node-b')} icmp type echo-request drop; }}"
    )
    return nft_table(lab.machines["node-b"], chain)


FAULT = Fault(
    name="icmp-dropped",
    sentence="ICMP echo requests to pods of node-b are dropped",
    plant=_plant,
    kills=("P2P-07",),
)
