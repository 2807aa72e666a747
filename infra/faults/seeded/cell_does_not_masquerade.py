"""What the pod cell-b sends to the internet keeps its podIP, for which the internet gateway knows no public address."""

from contextlib import AbstractContextManager

from kip_conformance.infra.cloud.outside import OUTSIDE
from kip_conformance.infra.faults.cell_tampering import cell_machine
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, place
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = place(lab, "cell-b").address
    # A translation to itself, made before the agent's own rule: a flow is translated once.
    chain = (
        "chain leaving { type nat hook postrouting priority srcnat - 10; policy accept;"
        f" ip saddr {address} ip daddr {OUTSIDE.cidr} snat to {address}; }}"
    )
    return nft_table(cell_machine(lab, "cell-b"), chain)


FAULT = Fault(
    name="cell-does-not-masquerade",
    sentence="the cell of cell-b sends its pod's packets to the internet under the podIP",
    plant=_plant,
    kills=("EGR-01",),
    on_cells=True,
)
