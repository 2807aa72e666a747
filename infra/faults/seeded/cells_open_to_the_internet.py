"""The cells' group lets everybody in."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = """
from kip_conformance.infra.provider import launching
wanted = launching.wanted_rules
launching.wanted_rules = lambda vpc, extra: wanted(vpc, [*extra, "0.0.0.0/0"])
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_with(lab, _DEFECT)


FAULT = Fault(
    name="cells-open-to-the-internet",
    sentence="the security group of cells lets everybody in",
    plant=_plant,
    kills=("SGR-02",),
    may_redden={
        "XCD-01": "a site is let in with everybody",
        "XCD-02": "a site is let in with everybody",
    },
    on_cells=True,
)
