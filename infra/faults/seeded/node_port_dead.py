"""NodePorts of node-b are dropped before the service proxy sees them; node-a's work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-b"].addresses[0]
    # New flows alone: a masquerade may choose a source port in this range, and replies to that are none of NodePort's.
    rule = f"ct state new ip daddr {address} meta l4proto {{ tcp, udp }} th dport 30000-32767 drop"
    chains = (
        f"chain prerouting {{ type filter hook prerouting priority mangle; policy accept; {rule}; }}\n"
        f"chain output {{ type filter hook output priority mangle; policy accept; {rule}; }}"
    )
    return nft_table(lab.machines["node-b"], chains)


FAULT = Fault(
    name="node-port-dead",
    sentence="node-b answers no NodePort",
    plant=_plant,
    kills=("NPT-01", "NPT-02", "NPT-03", "NPT-05", "AFF-01", "CTK-01", "CTK-03"),
    may_redden={"MTU-02": "it transfers through NodePorts, too"},
    every_mode=True,
)
