"""The cloud terminates no instance: it answers with an error, each time."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.cloud.client import CloudClient
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    cloud = CloudClient(str(lab.description.details["cloud-api"]))
    cloud.set_faults([{"action": "TerminateInstances", "code": "InternalError", "rate": 1.0}])
    try:
        yield
    finally:
        cloud.set_faults([])


FAULT = Fault(
    name="cells-not-terminated",
    sentence="cells of deleted pods are not terminated",
    plant=_plant,
    kills=("ADR-04",),
    on_cells=True,
)
