"""NodePorts of node-b are dropped before the service proxy sees them; node-a's work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import dropped_untranslated
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-b"].addresses[0]
    match = f"ip daddr {address} meta l4proto {{ tcp, udp }} th dport 30000-32767"
    return dropped_untranslated(lab.machines["node-b"], match)


FAULT = Fault(
    name="node-port-dead",
    sentence="node-b answers no NodePort",
    plant=_plant,
    kills=("NPT-01", "NPT-02", "NPT-03", "NPT-05", "AFF-01", "CTK-01", "CTK-03"),
    may_redden={"MTU-02": "it transfers through NodePorts, too"},
    every_mode=True,
)
