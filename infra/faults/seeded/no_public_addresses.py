"""No new cell gets a public address."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_told
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_told(lab, lambda told: told["cells"].update(privateIPOnly=True))


FAULT = Fault(
    name="no-public-addresses",
    sentence="new cells in public subnets have no public address",
    plant=_plant,
    kills=("PUB-01",),
    may_redden={
        "EGR-01": "a cell without a public address does not get out of a public subnet",
    },
    on_cells=True,
)
