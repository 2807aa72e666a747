"""Cell-b masquerades what its pod sends to the peered VPC: there it comes from the management address."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import cell_machine
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain postrouting { type nat hook postrouting priority 90; policy accept;"
        f" ip daddr {PLAN.peer} masquerade; }}"
    )
    return nft_table(cell_machine(lab, "cell-b"), chain)


FAULT = Fault(
    name="peer-sees-management-address",
    sentence="cell-b masquerades what its pod sends to the peered VPC",
    plant=_plant,
    kills=("PEE-01",),
    may_redden={
        "EGR-04": "one of its machines is in the peered VPC",
    },
    on_site=True,
)
