"""Session affinity is lost on the way to the service proxies: the API server stores every Service without it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    without = '[JSONPatch{op: "replace", path: "/spec/sessionAffinity", value: "None"}]'
    without_config = (
        'has(object.spec.sessionAffinityConfig) ? [JSONPatch{op: "remove", path: "/spec/sessionAffinityConfig"}] : []'
    )
    has_affinity = 'has(object.spec.sessionAffinity) && object.spec.sessionAffinity == "ClientIP"'
    with rewritten_objects(
        lab,
        "services",
        [f"{without} + ({without_config})"],
        only=[has_affinity],
        operations=["CREATE", "UPDATE"],
    ):
        yield


FAULT = Fault(
    name="affinity-ignored",
    sentence="a Service's ClientIP affinity has no effect",
    plant=_plant,
    kills=("AFF-01",),
    every_mode=True,
)
