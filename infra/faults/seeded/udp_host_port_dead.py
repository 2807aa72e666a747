"""UDP HostPorts of node-a are dropped before anything leads them to a pod; those over TCP work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-a"].addresses[0]
    rule = f"ct state new ip daddr {address} udp dport 25000-25999 drop"
    chains = (
        f"chain prerouting {{ type filter hook prerouting priority mangle; policy accept; {rule}; }}\n"
        f"chain output {{ type filter hook output priority mangle; policy accept; {rule}; }}"
    )
    return nft_table(lab.machines["node-a"], chains)


FAULT = Fault(
    name="udp-host-port-dead",
    sentence="node-a answers no UDP HostPort",
    plant=_plant,
    kills=("HPT-02", "HPT-03", "HPT-06"),
)
