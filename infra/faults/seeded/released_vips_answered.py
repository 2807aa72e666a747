"""Whatever a ClusterIP of node-a's proxy no longer serves is answered all the same, by a pod that stands there."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, place
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    pod = place(lab, "node-b")
    # Right behind the proxy's own translation (priority -100): only what that left alone is met here.
    rule = f"ip daddr {PLAN.services} meta l4proto {{ tcp, udp }} th dport 80 dnat to {pod.address}:{pod.ports[0]}"
    chains = (
        f"chain prerouting {{ type nat hook prerouting priority -99; policy accept; {rule}; }}\n"
        f"chain output {{ type nat hook output priority -99; policy accept; {rule}; }}"
    )
    return nft_table(lab.machines["node-a"], chains)


FAULT = Fault(
    name="released-vips-answered",
    sentence="on node-a a deleted Service, a removed port and a Service without endpoints are still answered",
    plant=_plant,
    kills=("SVC-05", "SVC-10", "SVC-11"),
    may_redden=dict.fromkeys(
        ("CTK-01", "CTK-03", "EPT-02"), "what it sends before there is an endpoint, or after, is answered"
    ),
    every_mode=True,
)
