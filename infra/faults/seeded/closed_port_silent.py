"""A pod's closed ports do not refuse: the RST that answers a SYN never leaves its node."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, place
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    victim = place(lab, "node-b-2")
    # RFC 9293, 3.10.7.1: the reset of a connection that does not exist has sequence number 0.
    chain = (
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ip saddr {victim.address} tcp flags & (rst | ack) == (rst | ack) tcp sequence 0 drop; }}"
    )
    return nft_table(lab.machines[victim.machine], chain)


FAULT = Fault(
    name="closed-port-silent",
    sentence="connections to closed ports of node-b-2 time out",
    plant=_plant,
    kills=("P2P-06",),
)
