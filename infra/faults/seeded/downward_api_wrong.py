"""Containers that ask for their podIP are told their node's address instead."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_ASKS = (
    'object.spec.containers[0].?env.orValue([]).exists(e, e.?valueFrom.?fieldRef.?fieldPath.orValue("") == '
    '"status.podIP")'
)
_PATCH = """
object.spec.containers[0].env.map(e, e.?valueFrom.?fieldRef.?fieldPath.orValue("") == "status.podIP"
  ? JSONPatch{op: "add", path: "/spec/containers/0/env/-", value: Object.spec.containers.env{
      name: e.name, valueFrom: Object.spec.containers.env.valueFrom{
        fieldRef: Object.spec.containers.env.valueFrom.fieldRef{apiVersion: "v1", fieldPath: "status.hostIP"}}}}
  : JSONPatch{op: "test", path: "/kind", value: "Pod"})
"""


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    with rewritten_objects(lab, "pods", [_PATCH], only=[_ASKS]):
        yield


FAULT = Fault(
    name="downward-api-wrong",
    sentence="the downward API tells containers the hostIP for the podIP",
    plant=_plant,
    kills=("IDN-03",),
)
