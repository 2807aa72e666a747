"""Readiness probes are lost on the way to the nodes' agents: the API server stores every pod without them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    without = '[JSONPatch{op: "remove", path: "/spec/containers/0/readinessProbe"}]'
    with rewritten_objects(lab, "pods", [without], only=["has(object.spec.containers[0].readinessProbe)"]):
        yield


FAULT = Fault(
    name="probes-ignored",
    sentence="a pod is Ready whatever its readiness probe says",
    plant=_plant,
    kills=("N2P-04", "EPT-01"),
)
