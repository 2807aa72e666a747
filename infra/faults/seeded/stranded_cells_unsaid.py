"""What providers say about cells that do not come up is no warning."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    with rewritten_objects(
        lab,
        "events",
        ['[JSONPatch{op: "replace", path: "/type", value: "Normal"}]'],
        only=['has(object.reason) && object.reason == "CellNotUp"'],
    ):
        yield


FAULT = Fault(
    name="stranded-cells-unsaid",
    sentence="no warning tells of a cell that does not come up",
    plant=_plant,
    kills=("BTS-02", "BTS-04", "BTS-05"),
    on_cells=True,
)
