"""The site's gateway takes nothing from machines that are no nodes to the VPC."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import ON_PREM_GATEWAY, ON_PREM_HOST, PLAN
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain forward { type filter hook forward priority 0; policy accept;"
        f" ct state new ip saddr {ON_PREM_HOST.address} ip daddr {PLAN.vpc} drop; }}"
    )
    return nft_table(lab.machines[ON_PREM_GATEWAY.name], chain)


FAULT = Fault(
    name="site-cut-from-cells",
    sentence="nothing leads from on-prem-host to the VPC",
    plant=_plant,
    kills=("XCD-01", "XCD-02"),
    may_redden={"PEE-02": "the site no longer reaches the pods that it may reach, either"},
    on_site=True,
)
