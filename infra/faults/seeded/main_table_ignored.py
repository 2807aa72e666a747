"""Providers know the route tables that are associated with subnets, and not the main one."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = """
from kip_conformance.infra.provider import placement
sound = placement.effective_table
def effective_table(tables, subnet):
    found = sound(tables, subnet) or {}
    own = any(one.get("SubnetId") == subnet for one in found.get("Associations", []))
    return found if own else None
placement.effective_table = effective_table
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_with(lab, _DEFECT)


FAULT = Fault(
    name="main-table-ignored",
    sentence="a subnet without a route table of its own is private, whatever the main one says",
    plant=_plant,
    kills=("PUB-04",),
    on_cells=True,
)
