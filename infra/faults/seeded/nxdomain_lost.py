"""Answers that deny a name are lost on their way to pods: whoever asks waits, instead of trying the next domain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import NODES
from kip_conformance.infra.targets.lab import LabCluster

# Behind 8 bytes of UDP header: DNS id (16 bits), flags (12 bits), then the response code; 3 is NXDOMAIN.
_IS_NXDOMAIN = "udp sport 53 @th,92,4 3"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    chain = f"chain forward {{ type filter hook forward priority filter - 5; policy accept; {_IS_NXDOMAIN} drop; }}"
    with contextlib.ExitStack() as stack:
        for node in NODES:
            stack.enter_context(nft_table(lab.machines[node.name], chain))
        yield


FAULT = Fault(
    name="nxdomain-lost",
    sentence="DNS answers with NXDOMAIN are dropped on every node",
    plant=_plant,
    kills=("DNS-06", "DNS-01"),
    may_redden=dict.fromkeys(
        ("SVC-16", "DNS-02", "DNS-05", "IDN-08", "N2P-06"), "partial names are found after other domains were denied"
    ),
)
