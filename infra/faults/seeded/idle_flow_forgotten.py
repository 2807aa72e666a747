"""node-b forgets a TCP connection to its pods once it was silent for a second, as a short-tempered middlebox does."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    flow = "ip saddr . tcp sport . ip daddr . tcp dport"
    chains = (
        "set alive { type ipv4_addr . inet_service . ipv4_addr . inet_service; size 65536;"
        " flags dynamic, timeout; timeout 1s; }\n"
        "chain forward { type filter hook forward priority filter - 5; policy accept;"
        f" ip daddr != {pod_range('node-b')} return;"
        f" tcp flags & (syn | ack) == syn update @alive {{ {flow} }} return;"
        f" ct direction original {flow} @alive update @alive {{ {flow} }} return;"
        " ct direction original tcp flags & (syn | fin | rst) == 0 drop; }"
    )
    return nft_table(lab.machines["node-b"], chains)


FAULT = Fault(
    name="idle-flow-forgotten",
    sentence="TCP connections to pods of node-b die after a second of silence",
    plant=_plant,
    kills=("P2P-06",),
)
