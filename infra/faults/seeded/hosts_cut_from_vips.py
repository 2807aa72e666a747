"""Node-a itself cannot reach ClusterIPs: what its own processes send there is dropped. Its pods can."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    # Before the proxy translates (priority -100), so that pods' packets, which are forwarded, are not met.
    chain = (
        "chain output { type filter hook output priority mangle; policy accept;"
        f" ip daddr {PLAN.services} meta l4proto {{ tcp, udp }} drop; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


_HOSTS = "the machines are among its clients"

FAULT = Fault(
    name="hosts-cut-from-vips",
    sentence="node-a's own processes, and pods in its host network, reach no ClusterIP",
    plant=_plant,
    kills=("SVC-01", "SVC-02"),
    may_redden={
        **dict.fromkeys(("SVC-07", "SVC-10", "SVC-11", "SVC-18", "PXY-05", "EPT-01", "EPT-02", "IDN-05"), _HOSTS),
        "DNS-05": "pods in the host network ask the cluster's DNS at its VIP",
    },
    every_mode=True,
)
