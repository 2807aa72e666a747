"""DNS answers above 512 bytes never reach pods of node-a over UDP, as with a firewall older than EDNS."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster

_HEADERS = 28


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ip daddr {pod_range('node-a')} udp sport 53 meta length > {512 + _HEADERS} drop; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="dns-large-answers-dropped",
    sentence="DNS answers above 512 bytes are dropped on their way to pods of node-a",
    plant=_plant,
    kills=("DNS-05",),
)
