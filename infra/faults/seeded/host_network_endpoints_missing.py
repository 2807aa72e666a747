"""Pods in the host network of node-b are left out of EndpointSlices."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import without_endpoints
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    address = lab.machines["node-b"].addresses[0]
    with without_endpoints(lab, f'e.addresses.exists(a, a == "{address}")'):
        yield


FAULT = Fault(
    name="host-network-endpoints-missing",
    sentence="a pod in the host network of node-b is never an endpoint",
    plant=_plant,
    kills=("HNW-02",),
    every_mode=True,
)
