"""The way from node-a's pods to node-b's takes 1,400 bytes and says nothing: larger packets vanish."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ip saddr {pod_range('node-a')} ip daddr {pod_range('node-b')} meta length > 1400 drop; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="mtu-black-hole",
    sentence="packets above 1,400 bytes from node-a's pods to node-b's vanish without a word",
    plant=_plant,
    kills=("MTU-01", "MTU-02"),
    may_redden={"DNS-05": "a large answer over TCP is a packet above 1,400 bytes"},
    every_mode=True,
)
