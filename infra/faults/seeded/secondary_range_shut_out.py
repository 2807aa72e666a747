"""The cells' group lets in the first range of their network only."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = f"""
from kip_conformance.infra.provider import launching
wanted = launching.wanted_rules
def wanted_rules(vpc, extra):
    return {{rule for rule in wanted(vpc, extra) if rule.peer != "{PLAN.secondary}"}}
launching.wanted_rules = wanted_rules
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_with(lab, _DEFECT)


FAULT = Fault(
    name="secondary-range-shut-out",
    sentence="the security group of cells lets in the primary range of their network only",
    plant=_plant,
    kills=("SGR-01",),
    on_cells=True,
)
