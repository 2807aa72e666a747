"""Pods in the host network of node-b are left out of EndpointSlices."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.admission import without_endpoints
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[KubeApi]:
    address = lab.machines["node-b"].addresses[0]
    return without_endpoints(lab, f'e.addresses.exists(a, a == "{address}")')


FAULT = Fault(
    name="host-network-endpoints-missing",
    sentence="a pod in the host network of node-b is never an endpoint",
    plant=_plant,
    kills=("HNW-02",),
    every_mode=True,
)
