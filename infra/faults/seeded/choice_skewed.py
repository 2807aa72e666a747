"""Node-b sends nine of ten connections to port 8443 of any Service to one and the same endpoint."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, place
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    favourite = place(lab, "node-a")
    # Right before the proxy's own translation. An endpoint of another node, so that no hairpin comes of it.
    rule = (
        f"ip daddr {PLAN.services} tcp dport 8443 numgen random mod 10 < 9"
        f" dnat to {favourite.address}:{favourite.ports[0]}"
    )
    chain = f"chain prerouting {{ type nat hook prerouting priority -101; policy accept; {rule}; }}"
    return nft_table(lab.machines["node-b"], chain)


FAULT = Fault(
    name="choice-skewed",
    sentence="on node-b one endpoint of a Service gets nine of ten connections",
    plant=_plant,
    kills=("SVC-15",),
    every_mode=True,
)
