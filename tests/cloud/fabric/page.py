"""docs/network-facts.md: the facts of facts.py as a page. `python -m tests.cloud.fabric.page` prints it."""

from __future__ import annotations

import sys
from itertools import groupby

from .facts import FACTS, Fact
from .network_faults import FAULTS

_HEAD = """# What is known of the simulated network

Made by `make docs` from [tests/cloud/fabric/facts.py](../tests/cloud/fabric/facts.py). Each line is a sentence of the
provider's documentation, and a packet that shows it in the simulated network of
[tests/cloud/fabric/world.py](../tests/cloud/fabric/world.py): {count} of them are asked whenever the software is
tested. `open` names the address that the peer saw; `silent` is an answer that never came.

What changes of the network do to what goes on in it (a rule or a route withdrawn, an address moved, an interface
detached, a tunnel down) is in [tests/cloud/fabric/test_changes.py](../tests/cloud/fabric/test_changes.py); that a
reconciliation may end at any point, in [tests/cloud/fabric/test_crashes.py](../tests/cloud/fabric/test_crashes.py).

"""
_NOT = """## What is not simulated

- Network ACLs; bandwidth, burst and packet limits; latency, also between zones, which have no effect on packets
- IPv6, and rules and routes for it
- Time-outs of tracked connections and of NAT gateways; the connections that are tracked whatever the rules are; limits
  of ports and of connections
- Policies of endpoints; endpoints of other kinds than gateway and interface; transit gateways, Direct Connect
- Fragments through a NAT gateway, which the cloud drops for TCP and ICMP
- One hop: between two machines of a VPC there are three, and each lowers the time to live by one
- DHCP: machines are told what a lease would say
- IPsec: a plain link of 1419 bytes stands for a tunnel. Unless told otherwise it says what does not fit; the cloud's
  does not

A machine's errors and those of routers come from 192.0.0.8 where these have no address of their own.
"""

_NOTICED = """## What would be noticed

A fact that cannot fail says nothing. Each of these {count} defects is planted in the network whenever the software is
tested ([tests/cloud/fabric/network_faults.py](../tests/cloud/fabric/network_faults.py)), not by way of the API; the
facts beside it then come out otherwise, and all of them are as above once it is mended.

"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD.format(count=len(FACTS))]
    by_document = sorted(FACTS, key=lambda fact: fact.document)
    for document, facts in groupby(by_document, key=lambda fact: fact.document):
        parts.append(f"## {document}\n\n| | packet | outcome |\n|---|---|---|\n")
        parts += [f"| {_capital(fact.sentence)} | {_packet(fact)} | {fact.expected} |\n" for fact in facts]
        parts.append("\n")
    return "".join([*parts, _noticed(), _NOT])


def _noticed() -> str:
    """Which facts notice which defect of the network."""
    sentences = {fact.name: _capital(fact.sentence) for fact in FACTS}
    lines = [
        f"| {fault.name} | {_capital(fault.sentence)} | {'; '.join(sentences[name] for name in fault.noticed_by)} |\n"
        for fault in FAULTS
    ]
    return "".join(
        [_NOTICED.format(count=len(FAULTS)), "| defect | | noticed at least by |\n|---|---|---|\n", *lines, "\n"]
    )


def _packet(fact: Fact) -> str:
    probe = fact.probe
    kind = {"icmp": "ICMP echo", "raw": f"IP protocol {probe.port}", "size": f"{probe.size} bytes, DF"}.get(
        probe.protocol, f"{probe.protocol.upper().replace('MSS', 'TCP')} {probe.port}"
    )
    more = f", {probe.size} bytes" if probe.protocol == "udp" and probe.size else ""
    source = f" as {probe.source}" if probe.source else ""
    return f"{probe.machine}{source} → {probe.to}, {kind}{more}"


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


if __name__ == "__main__":
    sys.stdout.write(page())
