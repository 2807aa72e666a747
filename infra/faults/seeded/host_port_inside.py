"""A pod of node-a answers at its podIP under the number of its HostPort, too."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.workloads.host_ports import MAPPED_RANGE


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain prerouting { type nat hook prerouting priority dstnat - 5; policy accept;"
        f" ip daddr {pod_range('node-a')} tcp dport {MAPPED_RANGE} dnat to :8080; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="host-port-inside",
    sentence="pods of node-a answer at the number of their HostPort at their podIP",
    plant=_plant,
    kills=("HPT-09",),
)
