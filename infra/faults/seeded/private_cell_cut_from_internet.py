"""Nothing that the pod cell-private sends to the internet leaves its cell."""

from contextlib import AbstractContextManager

from kip_conformance.infra.cloud.outside import OUTSIDE
from kip_conformance.infra.faults.cell_tampering import cell_machine
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        f"chain forward {{ type filter hook forward priority mangle; policy accept; ip daddr {OUTSIDE.cidr} drop; }}"
    )
    return nft_table(cell_machine(lab, "cell-private"), chain)


FAULT = Fault(
    name="private-cell-cut-from-internet",
    sentence="the pod cell-private does not reach the internet, although its subnet has a NAT gateway",
    plant=_plant,
    kills=("EGR-02",),
    on_cells=True,
)
