"""NetworkPolicies on a cell: packet-filter rules out of what the provider has resolved to addresses and ports.

One nftables table of its own, replaced as a whole. New flows are judged after their translation, by the addresses of
pods; answers and what belongs to them pass. What the machine itself sends to its pod passes: a pod cannot be cut off
from its node. Forwarded packets are hooked, and the machine's output, because what an IPVS proxy sends on for the pod
is not forwarded. Without a policy there is no table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kip_conformance.infra.cell.commands import run
from kip_conformance.infra.cell.problems import Refused

__all__ = ["apply_policy", "policy_rules"]

_PROTOCOLS = ("tcp", "udp", "sctp")


def apply_policy(pod_address: str, policy: Mapping[str, Any]) -> None:
    """In one transaction. Raises Refused for what is no policy, and CellProblem."""
    run(["nft", "-f", "-"], stdin=policy_rules(pod_address, policy))


def policy_rules(pod_address: str, policy: Mapping[str, Any]) -> str:
    """The table as nft reads it; loading it replaces the one that is there. Raises Refused.

    `policy` has `ingress` and `egress`: None for everything, else rules of which one must let a flow pass.
    """
    remove = "table ip kip_policy\ndelete table ip kip_policy\n"
    try:
        ingress = _chain(policy.get("ingress"), "saddr")
        egress = _chain(policy.get("egress"), "daddr")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(400, f"policy: {type(error).__name__}: {error}") from error
    if not ingress and not egress:
        return remove
    return f"""{remove}table ip kip_policy {{
  chain ingress {{
{ingress or "    accept"}
  }}
  chain egress {{
{egress or "    accept"}
  }}
  chain forwarded {{
    type filter hook forward priority filter + 10; policy accept;
    ct state established,related accept
    iifname "veth0" oifname "veth0" accept
    oifname "veth0" goto ingress
    iifname "veth0" goto egress
  }}
  chain sent {{
    type filter hook output priority filter + 10; policy accept;
    ct state established,related accept
    ip saddr {pod_address} oifname != "veth0" goto egress
    ip daddr {pod_address} fib saddr type != local goto ingress
  }}
}}
"""


def _chain(rules: Sequence[Mapping[str, Any]] | None, field: str) -> str:
    """Empty when the direction is open."""
    if rules is None:
        return ""
    lines = [
        f"    {peer}{port}accept"
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
