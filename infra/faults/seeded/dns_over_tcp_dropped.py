"""DNS over TCP from pods of node-a vanishes, as it does where somebody opened port 53 for UDP alone."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain prerouting { type filter hook prerouting priority mangle; policy accept;"
        f" ip saddr {pod_range('node-a')} tcp dport 53 drop; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="dns-over-tcp-dropped",
    sentence="pods of node-a reach DNS over UDP and not over TCP",
    plant=_plant,
    kills=("DNS-05",),
)
