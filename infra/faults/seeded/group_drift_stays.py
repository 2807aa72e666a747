"""The provider never puts its security group right."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = """
from kip_conformance.infra.provider import groups
groups.differences = lambda is_now, wanted: ([], [])
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_with(lab, _DEFECT)


FAULT = Fault(
    name="group-drift-stays",
    sentence="what is changed in the provider's security group by hand stays",
    plant=_plant,
    kills=("SGR-03",),
    on_cells=True,
)
