"""UDP HostPorts of node-a are dropped before anything leads them to a pod; those over TCP work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import dropped_untranslated
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.workloads.host_ports import MAPPED_RANGE


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-a"].addresses[0]
    match = f"ip daddr {address} udp dport {MAPPED_RANGE}"
    return dropped_untranslated(lab.machines["node-a"], match)


FAULT = Fault(
    name="udp-host-port-dead",
    sentence="node-a answers no UDP HostPort",
    plant=_plant,
    kills=("HPT-02", "HPT-03", "HPT-06"),
)
