"""No pod's status says that an image could not be pulled: its container is said to be created still."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.cell_tampering import WAITS
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    waiting = "/status/containerStatuses/0/state/waiting"
    with rewritten_objects(
        lab,
        "pods/status",
        [
            f'[JSONPatch{{op: "replace", path: "{waiting}/reason", value: "ContainerCreating"}},'
            f' JSONPatch{{op: "replace", path: "{waiting}/message", value: "it takes a while"}}]'
        ],
        only=[
            WAITS,
            "has(object.status.containerStatuses[0].state.waiting.reason)",
            'object.status.containerStatuses[0].state.waiting.reason in ["ErrImagePull", "ImagePullBackOff"]',
            "has(object.status.containerStatuses[0].state.waiting.message)",
        ],
        operations=("UPDATE",),
    ):
        yield


FAULT = Fault(
    name="failed-pulls-unsaid",
    sentence="the status of a pod does not say that its image cannot be pulled",
    plant=_plant,
    kills=("IMG-02", "IMG-03", "IMG-04", "IMG-08"),
    on_cells=True,
)
