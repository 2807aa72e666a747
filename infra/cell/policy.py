"""NetworkPolicies on a machine: packet-filter rules out of what was resolved to addresses and ports, for each pod.

The same on a cell, which has one pod, and on a kubelet node. One nftables table of its own, replaced as a whole. New
flows are judged after their translation, by the addresses of pods; answers and what belongs to them pass. What the
machine itself sends to its pods passes, and what they send to it: a pod cannot be cut off from its node, which is why
the machine's input is not judged. Forwarded packets are hooked, and the machine's output, because what an IPVS proxy
sends on for a pod is not forwarded. Without a policy there is no table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kip_conformance.infra.cell.commands import run
from kip_conformance.infra.cell.problems import Refused

__all__ = ["apply_policies", "policy_rules"]

_PROTOCOLS = ("tcp", "udp", "sctp")


def apply_policies(policies: Mapping[str, Mapping[str, Any]]) -> None:
    """By pods' addresses, in one transaction. Raises Refused for what is no policy, and CellProblem."""
    run(["nft", "-f", "-"], stdin=policy_rules(policies))


def policy_rules(policies: Mapping[str, Mapping[str, Any]]) -> str:
    """The table as nft reads it; loading it replaces the one that is there. Raises Refused.

    A pod's policy has `ingress` and `egress`: None for everything, else rules of which one must let a flow pass.
    """
    remove = "table ip kip_policy\ndelete table ip kip_policy\n"
    chains: dict[str, str] = {}
    isolated: dict[str, list[str]] = {"egress": [], "ingress": []}
    for address, policy in sorted(policies.items()):
        for direction, (_, peer) in _FIELDS.items():
            try:
                rules = _rules(policy.get(direction), peer)
                name = f"{direction}_{str(IPv4Address(address)).replace('.', '_')}"
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise Refused(400, f"policy: {type(error).__name__}: {error}") from error
            if rules:
                # A pod always reaches itself, through its own Service too.
                chains[name] = f"    ip {peer} {address} return\n{rules}"
                isolated[direction].append(f"{address} : jump {name}")
    if not chains:
        return remove
    made = "".join(f"  chain {name} {{\n{rules}\n  }}\n" for name, rules in chains.items())
    return f"""{remove}table ip kip_policy {{
{made}  chain forwarded {{
    type filter hook forward priority filter + 10; policy accept;
    ct state established,related accept
{_judged(isolated, "egress")}{_judged(isolated, "ingress")}  }}
  chain sent {{
    type filter hook output priority filter + 10; policy accept;
    ct state established,related accept
{_judged(isolated, "egress")}    fib saddr type local accept
{_judged(isolated, "ingress")}  }}
}}
"""


_FIELDS = {"egress": ("saddr", "daddr"), "ingress": ("daddr", "saddr")}
"""Where a flow has the pod's own address, and where its peer's."""


def _judged(isolated: Mapping[str, Sequence[str]], direction: str) -> str:
    """The line that sends the flows of isolated pods to their chains, which return for those that may pass."""
    pods = ", ".join(isolated[direction])
    return f"    ip {_FIELDS[direction][0]} vmap {{ {pods} }}\n" if pods else ""


def _rules(rules: Sequence[Mapping[str, Any]] | None, field: str) -> str:
    """Empty when the direction is open."""
    if rules is None:
        return ""
    lines = [
        f"    {peer}{port}return"
        for rule in rules
        for peer in _peers(rule["peers"], field)
        for port in _ports(rule["ports"])
    ]
    return "\n".join([*lines, "    counter drop"])


def _peers(peers: Mapping[str, Any] | None, field: str) -> Iterator[str]:
    if peers is None:
        yield ""
        return
    if addresses := sorted({IPv4Address(one) for one in peers["addresses"]}):
        yield f"ip {field} {{ {', '.join(map(str, addresses))} }} "
    for block in peers["blocks"]:
        left_out = "".join(f"ip {field} != {_network(one)} " for one in block["except"])
        yield f"ip {field} {_network(block['cidr'])} {left_out}"


def _ports(ports: Sequence[Mapping[str, Any]] | None) -> Iterator[str]:
    if ports is None:
        yield ""
        return
    for one in ports:
        protocol = str(one["protocol"]).lower()
        if protocol not in _PROTOCOLS:
            raise ValueError(f"protocol {one['protocol']} is none of TCP, UDP and SCTP")
        if one["port"] is None:
            yield f"meta l4proto {protocol} "
        else:
            end = f"-{int(one['endPort'])}" if one["endPort"] else ""
            yield f"{protocol} dport {int(one['port'])}{end} "


def _network(cidr: str) -> IPv4Network:
    return IPv4Network(cidr, strict=False)
