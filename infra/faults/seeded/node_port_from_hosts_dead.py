"""Processes of node-b, hostNetwork pods among them, reach no NodePort; pods do."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import NODES
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    addresses = ", ".join(node.address for node in NODES)
    # Before the service proxy translates; what is forwarded for pods does not come this way.
    rule = f"ct state new ip daddr {{ {addresses} }} meta l4proto {{ tcp, udp }} th dport 30000-32767 drop"
    chain = f"chain output {{ type filter hook output priority mangle; policy accept; {rule}; }}"
    return nft_table(lab.machines["node-b"], chain)


FAULT = Fault(
    name="node-port-from-hosts-dead",
    sentence="node-b's own processes reach no NodePort",
    plant=_plant,
    kills=("NPT-02", "NPT-03"),
    may_redden={"MTU-02": "it transfers through NodePorts, too"},
    every_mode=True,
)
