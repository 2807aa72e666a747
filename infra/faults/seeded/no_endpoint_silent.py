"""Node-a drops what is sent to a Service without endpoints, instead of saying no."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    # Behind the translation, before the proxy's rejecting rules (priority 0): only untranslated packets are met.
    rule = f"ip daddr {PLAN.services} drop"
    chains = (
        f"chain forward {{ type filter hook forward priority -5; policy accept; {rule}; }}\n"
        f"chain output {{ type filter hook output priority -5; policy accept; {rule}; }}"
    )
    return nft_table(lab.machines["node-a"], chains)


FAULT = Fault(
    name="no-endpoint-silent",
    sentence="on node-a a Service without endpoints is silent instead of refusing",
    plant=_plant,
    kills=("SVC-11",),
    every_mode=True,
)
