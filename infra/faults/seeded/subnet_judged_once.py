"""Providers look at the route tables once: what becomes of them later has no effect on public addresses."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = """
from kip_conformance.infra.provider import launching
sound, known = launching.table_of, {}
async def table_of(cloud, place):
    if place not in known:
        known[place] = await sound(cloud, place)
    return known[place]
launching.table_of = table_of
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_with(lab, _DEFECT)


FAULT = Fault(
    name="subnet-judged-once",
    sentence="a changed route table does not change which cells get public addresses",
    plant=_plant,
    kills=("PUB-04",),
    on_cells=True,
)
