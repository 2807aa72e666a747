"""UDP NodePorts of node-b are dropped before the service proxy sees them; TCP ones work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-b"].addresses[0]
    # A reply to what a proxy masqueraded may have such a port too.
    rule = f"ip daddr {address} udp dport 30000-32767 ct direction original drop"
    chains = (
        f"chain prerouting {{ type filter hook prerouting priority mangle; policy accept; {rule}; }}\n"
        f"chain output {{ type filter hook output priority mangle; policy accept; {rule}; }}"
    )
    return nft_table(lab.machines["node-b"], chains)


FAULT = Fault(
    name="udp-node-port-dead",
    sentence="node-b answers no UDP NodePort",
    plant=_plant,
    kills=("NPT-03", "CTK-01", "CTK-03", "NPT-05"),
    may_redden={"MTU-02": "it transfers through NodePorts, too"},
    every_mode=True,
)
