"""Pods of virtual nodes that ask for the host network get a network namespace of their own."""

from contextlib import AbstractContextManager
from typing import Any

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[Any]:
    return rewritten_objects(
        lab,
        "pods",
        ['[JSONPatch{op: "remove", path: "/spec/hostNetwork"}]'],
        only=[
            "has(object.spec.hostNetwork) && object.spec.hostNetwork",
            'has(object.spec.nodeName) && object.spec.nodeName.startsWith("kip-")',
        ],
    )


FAULT = Fault(
    name="host-network-ignored",
    sentence="pods of virtual nodes never get the host network",
    plant=_plant,
    kills=("ADR-03",),
    may_redden={"DNS-05": "it asks from a pod in the host network"},
    on_cells=True,
)
