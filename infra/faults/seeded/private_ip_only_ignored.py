"""The annotation private-ip-only is lost on the way to the provider."""

from contextlib import AbstractContextManager
from typing import Any

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[Any]:
    return rewritten_objects(
        lab,
        "pods",
        ['[JSONPatch{op: "remove", path: "/metadata/annotations/pod.elotl.co~1private-ip-only"}]'],
        only=['has(object.metadata.annotations) && "pod.elotl.co/private-ip-only" in object.metadata.annotations'],
    )


FAULT = Fault(
    name="private-ip-only-ignored",
    sentence="the annotation private-ip-only has no effect",
    plant=_plant,
    kills=("PUB-02",),
    on_cells=True,
)
