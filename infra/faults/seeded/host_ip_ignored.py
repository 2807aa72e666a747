"""Node-b's HostPorts lead to their pods whatever hostIP they are for."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.workloads.host_ports import MAPPED_RANGE


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-b"].addresses[0]
    # Outside of conntrack on both ways: a flow that was translated once is not translated again. The source port tells
    # a client's packet from a reply to one whose source port was chosen by a masquerade, which may be any.
    chains = (
        "chain prerouting { type filter hook prerouting priority raw - 10; policy accept;"
        f" ip daddr {address} tcp dport {MAPPED_RANGE} tcp sport 32768-60999 ip daddr set 127.0.0.1; }}\n"
        "chain postrouting { type filter hook postrouting priority srcnat + 100; policy accept;"
        f" ip saddr 127.0.0.1 ip daddr != 127.0.0.1 tcp sport {MAPPED_RANGE} ip saddr set {address}; }}"
    )
    return nft_table(lab.machines["node-b"], chains)


FAULT = Fault(
    name="host-ip-ignored",
    sentence="node-b's HostPorts for 127.0.0.1 answer at its own address as well",
    plant=_plant,
    kills=("HPT-04",),
    may_redden={
        "HPT-02": "it has a HostPort at either address, and the wrong one answers",
        "HPT-05": "what is sent to the loopback address from elsewhere is not refused but silent",
    },
)
