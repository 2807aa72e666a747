"""A second pod that wants a HostPort which is taken runs without it, and nobody says so."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[KubeApi]:
    # The pod that comes second is one whose name says so: the row names it.
    return rewritten_objects(
        lab,
        "pods",
        ['[JSONPatch{op: "remove", path: "/spec/containers/0/ports"}]'],
        only=['object.metadata.name.startsWith("bound-") || object.metadata.name.startsWith("scheduled-")'],
    )


FAULT = Fault(
    name="host-port-conflict-unsaid",
    sentence="the second pod with a HostPort runs without it, and no event says so",
    plant=_plant,
    kills=("HPT-07",),
)
