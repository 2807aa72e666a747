"""What the pod cell-b sends to 100.64.0.0/10 has the management address of its cell as source."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import cell_machine
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, place
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain leaving { type nat hook postrouting priority srcnat - 10; policy accept;"
        f" ip saddr {place(lab, 'cell-b').address} ip daddr 100.64.0.0/10 masquerade; }}"
    )
    return nft_table(cell_machine(lab, "cell-b"), chain)


FAULT = Fault(
    name="shared-range-masqueraded",
    sentence="the cell of cell-b translates what its pod sends to the VPC's range in 100.64.0.0/10",
    plant=_plant,
    kills=("EGR-04",),
    on_cells=True,
)
