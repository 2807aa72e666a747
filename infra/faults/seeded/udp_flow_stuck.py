"""A UDP flow to a Service that has to begin anew is lost, as it is where connection tracking keeps the old backend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import NODES, PLAN
from kip_conformance.infra.targets.lab import LabCluster

# A flow is new to connection tracking once. It is so again when its entry was taken away, or none was ever kept.
_FLOW = "ip saddr . udp sport . ip daddr . udp dport"
_TYPE = "ipv4_addr . inet_service . ipv4_addr . inet_service"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    with contextlib.ExitStack() as planted:
        for node in NODES:
            to_services = (f"ip daddr {PLAN.services}", f"ip daddr {node.address} udp dport 30000-32767")
            rules = "".join(
                f"  ct state new {where} {_FLOW} @begun drop\n  ct state new {where} add @begun {{ {_FLOW} }}\n"
                for where in to_services
            )
            chains = f"set begun {{ type {_TYPE}; size 65535; flags dynamic, timeout; timeout 1m; }}\n" + "".join(
                f"chain {hook} {{ type filter hook {hook} priority mangle; policy accept;\n{rules}}}\n"
                for hook in ("prerouting", "output")
            )
            planted.enter_context(nft_table(lab.machines[node.name], chains))
        yield


FAULT = Fault(
    name="udp-flow-stuck",
    sentence="a UDP flow stays with the backend, or the lack of one, that it began with",
    plant=_plant,
    kills=("CTK-01", "CTK-03"),
    may_redden={"DNS-07": "A and AAAA leave one socket at once, and the second one may still be new"},
    every_mode=True,
)
