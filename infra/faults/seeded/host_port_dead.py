"""HostPorts of node-b are dropped before anything leads them to a pod; node-a's work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-b"].addresses[0]
    # Below NodePorts, and the numbers alone that rows give to HostPorts.
    rule = f"ct state new ip daddr {{ {address}, 127.0.0.1 }} meta l4proto {{ tcp, udp }} th dport 25000-25999 drop"
    chains = (
        f"chain prerouting {{ type filter hook prerouting priority mangle; policy accept; {rule}; }}\n"
        f"chain output {{ type filter hook output priority mangle; policy accept; {rule}; }}"
    )
    return nft_table(lab.machines["node-b"], chains)


FAULT = Fault(
    name="host-port-dead",
    sentence="node-b answers no HostPort",
    plant=_plant,
    kills=("HPT-01", "HPT-02", "HPT-03", "HPT-04", "HPT-05", "HPT-06", "HPT-07"),
)
