"""Pods of node-a that ask for the host network get a network namespace of their own."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    with rewritten_objects(
        lab,
        "pods",
        ['[JSONPatch{op: "remove", path: "/spec/hostNetwork"}]'],
        only=[
            "has(object.spec.hostNetwork) && object.spec.hostNetwork",
            'has(object.spec.nodeName) && object.spec.nodeName == "node-a"',
        ],
    ):
        yield


FAULT = Fault(
    name="host-network-ignored-on-nodes",
    sentence="pods of node-a never get the host network",
    plant=_plant,
    kills=("HNW-01",),
    may_redden={
        "DNS-05": "it asks from a pod in the host network",
        "HNW-02": "it makes endpoints in the host network",
    },
)
