"""A virtual node loses the label that keeps load balancers away from it, as often as it is put there."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_NODE, _LABEL = "kip-private", "node.kubernetes.io/exclude-from-external-load-balancers"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    path = f"/metadata/labels/{_LABEL.replace('/', '~1')}"
    with rewritten_objects(
        lab,
        "nodes",
        [f'[JSONPatch{{op: "remove", path: "{path}"}}]'],
        only=[f'object.metadata.name == "{_NODE}" && "{_LABEL}" in object.metadata.labels'],
        operations=("CREATE", "UPDATE"),
    ) as api:
        api.patch("Node", _NODE, {"metadata": {"labels": {_LABEL: None}}})
        yield
    api.patch("Node", _NODE, {"metadata": {"labels": {_LABEL: "true"}}})


FAULT = Fault(
    name="virtual-node-takes-balancers",
    sentence="a virtual node is not excluded from external load balancers",
    plant=_plant,
    kills=("NOD-01",),
    on_cells=True,
)
