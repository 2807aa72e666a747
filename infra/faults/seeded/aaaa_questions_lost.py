"""Of the AAAA questions of node-a's pods every fiftieth is lost, as the race of two at once in NAT does it."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.probe.prober import TYPES, encode_name
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    # The type stands behind the name: 8 bytes of UDP header and 12 of DNS header before it. Rules count in bits.
    at = 8 * (8 + 12 + len(encode_name(f"kubernetes.default.svc.{PLAN.domain}")))
    chain = (
        "chain prerouting { type filter hook prerouting priority mangle; policy accept;"
        f" ip saddr {pod_range('node-a')} udp dport 53 @th,{at},16 {TYPES['AAAA']} numgen inc mod 50 0 drop; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="aaaa-questions-lost",
    sentence="every fiftieth AAAA question of node-a's pods is lost",
    plant=_plant,
    kills=("DNS-07",),
)
