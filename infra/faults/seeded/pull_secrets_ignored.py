"""Pods lose the names of their pull secrets on their way into the API server."""

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
        ['[JSONPatch{op: "remove", path: "/spec/imagePullSecrets"}]'],
        only=["has(object.spec.imagePullSecrets) && size(object.spec.imagePullSecrets) > 0"],
    ):
        yield


FAULT = Fault(
    name="pull-secrets-ignored",
    sentence="pull secrets of a pod have no effect",
    plant=_plant,
    kills=("IMG-04",),
    on_cells=True,
)
