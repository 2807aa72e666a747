"""Where a registry is not reached, the status of the pod says only that the image cannot be pulled."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.cell_tampering import WAITS
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    message = "/status/containerStatuses/0/state/waiting/message"
    with rewritten_objects(
        lab,
        "pods/status",
        [f'[JSONPatch{{op: "replace", path: "{message}", value: "the image cannot be pulled"}}]'],
        only=[
            WAITS,
            "has(object.status.containerStatuses[0].state.waiting.message)",
            'object.status.containerStatuses[0].state.waiting.message.contains("could not be reached")',
        ],
        operations=("UPDATE",),
    ):
        yield


FAULT = Fault(
    name="unreached-registry-unnamed",
    sentence="the status of a pod does not say which registry was not reached",
    plant=_plant,
    kills=("IMG-08",),
    on_cells=True,
)
