"""Node-b takes what its NodePorts lead to cells, and forwards none of it; NodePorts that lead to nodes' pods work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    # A cell has an address of the VPC. New flows alone: replies have the address that a client sees.
    rule = f"ct state new meta l4proto {{ tcp, udp }} ct original proto-dst 30000-32767 ip daddr {PLAN.vpc} drop"
    chains = (
        f"chain forward {{ type filter hook forward priority -10; policy accept; {rule}; }}\n"
        f"chain postrouting {{ type filter hook postrouting priority -10; policy accept; {rule}; }}"
    )
    return nft_table(lab.machines["node-b"], chains)


FAULT = Fault(
    name="node-port-to-cells-dead",
    sentence="node-b forwards nothing from its NodePorts to cells",
    plant=_plant,
    kills=("NPT-07",),
    may_redden={
        "NPT-01": "some endpoints of its Services are on cells",
        "NPT-02": "some endpoints of its Services are on cells",
        "NPT-03": "some endpoints of its Services are on cells",
        "NPT-05": "some endpoints of its Services are on cells",
        "AFF-01": "some endpoints of its Services are on cells",
        "CTK-01": "some endpoints of its Services are on cells",
        "CTK-03": "some endpoints of its Services are on cells",
        "MTU-02": "it transfers through NodePorts, too",
    },
    every_mode=True,
    on_cells=True,
)
