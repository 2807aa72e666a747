"""A second pod that wants a HostPort which is taken runs without it, and nobody says so."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    # The pod that comes second is one whose name says so: the row names it.
    patch = '[JSONPatch{op: "remove", path: "/spec/containers/0/ports"}]'
    second = 'object.metadata.name.startsWith("bound-") || object.metadata.name.startsWith("scheduled-")'
    with rewritten_objects(lab, "pods", [patch], only=[second]):
        yield


FAULT = Fault(
    name="host-port-conflict-unsaid",
    sentence="the second pod with a HostPort runs without it, and no event says so",
    plant=_plant,
    kills=("HPT-07",),
)
