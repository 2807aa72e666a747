"""The site's node translates what goes to Services, and drops it when it was led to a cell."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import ON_PREM_NODE, PLAN
from kip_conformance.infra.targets.lab import LabCluster

_SERVICES = "some endpoints of its Services are on cells"


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain forward { type filter hook forward priority 10; policy accept;"
        f" ct state new ct original ip daddr {PLAN.services} ip daddr {PLAN.vpc} tcp dport != 6443 drop;"
        f" ct state new ct original ip daddr {PLAN.services} ip daddr {PLAN.vpc} meta l4proto udp drop; }}"
    )
    return nft_table(lab.machines[ON_PREM_NODE.name], chain)


FAULT = Fault(
    name="site-services-lose-cells",
    sentence="on premises nothing that goes to a Service reaches a cell",
    plant=_plant,
    kills=("XSV-01",),
    may_redden=dict.fromkeys(
        (
            *("AFF-01", "CTK-01", "CTK-03", "DNS-01", "EPT-01", "EPT-02", "IDN-05", "MTU-02", "NOD-03", "PXY-05"),
            *("SVC-01", "SVC-03", "SVC-05", "SVC-07", "SVC-10", "SVC-15", "SVC-16", "SVC-18"),
        ),
        _SERVICES,
    ),
    every_mode=True,
    on_site=True,
)
