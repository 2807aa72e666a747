"""HostPorts of node-b are dropped before anything leads them to a pod; node-a's work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import dropped_untranslated
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.workloads.host_ports import MAPPED_RANGE


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-b"].addresses[0]
    # Below NodePorts, and the numbers alone that rows give to HostPorts.
    match = f"ip daddr {{ {address}, 127.0.0.1 }} meta l4proto {{ tcp, udp }} th dport {MAPPED_RANGE}"
    return dropped_untranslated(lab.machines["node-b"], match)


FAULT = Fault(
    name="host-port-dead",
    sentence="node-b answers no HostPort",
    plant=_plant,
    kills=("HPT-01", "HPT-02", "HPT-03", "HPT-04", "HPT-05", "HPT-06", "HPT-07"),
)
