"""A pod's sandbox ends with its container, and the next one has another address."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.residents import NAMESPACE
from kip_conformance.infra.targets.lab import LabCluster

# With one PID namespace for the pod, its first process is the sandbox's: what ends that one ends all.
_PATCH = '[JSONPatch{op: "add", path: "/spec/shareProcessNamespace", value: true}]'
_ONLY = (f'object.metadata.namespace != "{NAMESPACE}"', 'object.metadata.name.startsWith("restarted-on-")')


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    with rewritten_objects(lab, "pods", [_PATCH], only=_ONLY):
        yield


FAULT = Fault(
    name="sandbox-dies-with-container",
    sentence="a restarted container finds itself in a new sandbox with another podIP",
    plant=_plant,
    kills=("IDN-06",),
)
