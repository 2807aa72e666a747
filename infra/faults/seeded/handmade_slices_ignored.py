"""EndpointSlices that the endpoint controller did not write lead nowhere: the API server stores them empty."""

from contextlib import AbstractContextManager
from typing import Any

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_OWNER = "endpointslice.kubernetes.io/managed-by"


def _plant(lab: LabCluster) -> AbstractContextManager[Any]:
    return rewritten_objects(
        lab,
        "endpointslices",
        ['[JSONPatch{op: "replace", path: "/endpoints", value: []}]'],
        only=[
            f'has(object.metadata.labels) && "{_OWNER}" in object.metadata.labels',
            f'object.metadata.labels["{_OWNER}"] == "kip-conformance"',
        ],
        group="discovery.k8s.io",
    )


FAULT = Fault(
    name="handmade-slices-ignored",
    sentence="a Service without selector has no endpoints, whatever its EndpointSlices say",
    plant=_plant,
    kills=("SVC-05", "SVC-07", "SVC-16"),
    may_redden={"DNS-05": "its large answer comes from such a slice"},
    every_mode=True,
)
