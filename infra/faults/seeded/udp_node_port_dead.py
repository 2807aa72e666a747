"""UDP NodePorts of node-b are dropped before the service proxy sees them; TCP ones work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import dropped_untranslated
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-b"].addresses[0]
    match = f"ip daddr {address} udp dport 30000-32767"
    return dropped_untranslated(lab.machines["node-b"], match)


FAULT = Fault(
    name="udp-node-port-dead",
    sentence="node-b answers no UDP NodePort",
    plant=_plant,
    kills=("NPT-03", "CTK-01", "CTK-03", "NPT-05"),
    may_redden={"MTU-02": "it transfers through NodePorts, too"},
    every_mode=True,
)
