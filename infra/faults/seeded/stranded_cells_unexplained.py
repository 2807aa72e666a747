"""What providers say about cells that do not come up names neither the agent's URL nor the subnet."""

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
        ['[JSONPatch{op: "replace", path: "/message", value: "the cell does not come up"}]'],
        only=['has(object.reason) && object.reason == "CellNotUp"'],
    ):
        yield


FAULT = Fault(
    name="stranded-cells-unexplained",
    sentence="the warning about a cell that does not come up does not say why",
    plant=_plant,
    kills=("BTS-05",),
    on_cells=True,
)
