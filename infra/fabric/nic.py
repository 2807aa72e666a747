"""The NIC namespace of an interface: security groups, source and destination check, link-local services' addresses.

    machine  eth0 ---- ins  NIC namespace  wire ---- e-<name>  router of the VPC

Each interface has one, with connection tracking of its own, because a packet that crosses the router twice must meet
each interface's groups anew. The services that the cloud offers to an instance are addresses of this namespace:
whoever listens there is reached from the machine only, past every group (Amazon VPC User Guide, "Security group
basics": DNS, DHCP, instance metadata and time are not filtered), and sees the machine's own address.

Which flows are tracked (Amazon EC2 User Guide, "Security group connection tracking"): a TCP or UDP flow that a rule
for 0.0.0.0/0 lets pass, while the other direction is open to 0.0.0.0/0 for all its ports, is not tracked: it ends
with the rule. Every other flow is, and goes on when its rule is removed. Not simulated: the flows that the cloud
tracks whatever the rules are (through a NAT gateway for one), and time-outs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kip_conformance.infra.fabric.config import HOP, Item, NamedSet, NamespaceConfig, Table, hop_items
from kip_conformance.infra.fabric.groups import Group, GroupRule
from kip_conformance.infra.fabric.members import Members
from kip_conformance.infra.fabric.state import Interface, NetworkState
from kip_conformance.infra.fabric.wires import ROUTER_SYSCTLS, mac

__all__ = ["METADATA", "RESOLVER", "TIME", "nic_config", "service_addresses"]

METADATA, RESOLVER, TIME = "169.254.169.254", "169.254.169.253", "169.254.169.123"
_INWARDS, _OUTWARDS = 60, 61
UNTRACKED = "0x2"
"""The connection mark of a flow that the cloud would not track: each of its packets needs a rule."""


def service_addresses(state: NetworkState, interface: Interface) -> tuple[str, ...]:
    """The addresses of this namespace that the machine can reach: metadata, resolver (two), time."""
    return (METADATA, RESOLVER, TIME, state.vpc_of(interface).resolver)


def nic_config(
    state: NetworkState, interface: Interface, members: Members, routed: Mapping[str, tuple[str, ...]]
) -> NamespaceConfig:
    """`routed` are the ranges that route tables send to an interface, by its name."""
    return NamespaceConfig(
        ROUTER_SYSCTLS,
        _items(state, interface, routed.get(interface.name, ())),
        _table(state, interface, members),
        ("ins", "wire"),
    )


def _items(state: NetworkState, interface: Interface, routed: tuple[str, ...]) -> dict[str, Item]:
    primary = interface.addresses[0]
    items: dict[str, Item] = {}
    for address in service_addresses(state, interface):
        # Of scope host: errors about the machine's packets must not come from a service's address.
        line = f"addr {{}} {address}/32 dev lo"
        items[f"service/{address}"] = Item(f"{line.format('replace')} scope host", line.format("del"))
    items["ins/up"] = Item("link set ins up", device="ins")
    items["primary"] = Item(
        f"route replace {primary} dev ins scope link", f"route del {primary} dev ins scope link", "ins"
    )
    items["neighbour"] = Item(f"neigh replace {primary} lladdr {mac(0, interface)} dev ins nud permanent", device="ins")
    for destination in (*interface.addresses[1:], *routed):
        line = f"route {{}} {destination} via {primary} dev ins onlink"
        items[f"also/{destination}"] = Item(line.format("replace"), line.format("del"), "ins")
    items |= hop_items("wire", mac(0xFC, interface))
    items["default"] = Item(f"route replace default via {HOP} dev wire onlink", device="wire")
    # What comes from one side goes to the other: a machine may send what routes lead to itself, when it is a router.
    # The main table is for what the services here answer.
    for at, table, way in (("wire", _INWARDS, f"{primary} dev ins"), ("ins", _OUTWARDS, f"{HOP} dev wire")):
        rule = f"rule {{}} pref {table} iif {at} lookup {table}"
        items[f"{at}/rule"] = Item(rule.format("add"), rule.format("del"))
        items[f"{at}/across"] = Item(f"route replace default via {way} onlink table {table}", device=way.split()[-1])
    return items


def _table(state: NetworkState, interface: Interface, members: Members) -> Table:
    known = {group.name: group for group in state.groups}
    groups = [known[name] for name in interface.groups]
    vpc = state.vpc_of(interface).name
    sets: dict[str, NamedSet] = {"own": NamedSet("set", "type ipv4_addr;", interface.addresses)}
    for rule in (rule for group in groups for rule in (*group.ingress, *group.egress)):
        if name := members.set_name(rule.peer):
            sets[name] = members.set(rule.peer, vpc)
    source_check = destination_check = ""
    if interface.source_dest_check:
        source_check = '    iifname "ins" ip saddr != @own counter drop comment "source check"\n'
        destination_check = '    iifname "wire" ip daddr != @own counter drop comment "destination check"\n'
    return Table(
        "inet nic",
        "  chain input {\n"
        "    type filter hook input priority filter; policy drop;\n"
        f"{source_check.replace('source check', 'source check before services')}"
        '    iifname { "ins", "lo" } accept comment "services of the cloud: no group"\n'
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy drop;\n"
        f"{source_check}{destination_check}"
        "    ct state related accept\n"
        f"    ct state established ct mark != {UNTRACKED} accept\n"
        '    iifname "ins" jump leaving\n'
        '    iifname "wire" jump arriving\n'
        '    counter comment "no group admits it"\n'
        "  }\n"
        f"  chain leaving {{\n{_rules(members, groups, is_ingress=False)}"
        '    counter drop comment "no group lets it out"\n  }\n'
        f"  chain arriving {{\n{_rules(members, groups, is_ingress=True)}  }}\n",
        sets,
    )


def _rules(members: Members, groups: list[Group], *, is_ingress: bool) -> str:
    """The union of all groups' rules for one direction: those that leave a flow untracked first."""
    ingress = [rule for group in groups for rule in group.ingress]
    egress = [rule for group in groups for rule in group.egress]
    back = egress if is_ingress else ingress
    untracked: list[str] = []
    tracked: list[str] = []
    for group in groups:
        comment = f'comment "{_quotable(group.name)}"'
        for rule in group.ingress if is_ingress else group.egress:
            if rule.is_ipv6:
                continue
            match = _match(members, rule, is_ingress=is_ingress)
            tracked.append(f"    {match}counter accept {comment}\n")
            if protocols := _untracked(rule, back):
                if rule.protocol == "all":
                    match = f"meta l4proto {{ {', '.join(protocols)} }} "
                untracked.append(f"    {match}counter ct mark set {UNTRACKED} accept {comment}\n")
    return "".join(dict.fromkeys((*untracked, *tracked)))


def _untracked(rule: GroupRule, back: list[GroupRule]) -> list[str]:
    """The protocols whose flows this rule lets pass untracked, given the rules for the way back."""
    if not rule.is_anywhere:
        return []
    return [
        protocol
        for protocol in ("tcp", "udp")
        if rule.protocol in (protocol, "all")
        and any(other.is_anywhere and other.has_all_ports and other.protocol in (protocol, "all") for other in back)
    ]


def _match(members: Members, rule: GroupRule, *, is_ingress: bool) -> str:
    """What a rule asks of a packet, in nft's words, with a space behind each; nothing when it asks nothing."""
    side = "saddr" if is_ingress else "daddr"
    name = members.set_name(rule.peer)
    text = "" if rule.is_anywhere else f"ip {side} @{name} " if name else f"ip {side} {rule.peer} "
    if rule.protocol in ("tcp", "udp") and rule.ports and not rule.has_all_ports:
        return f"{text}{rule.protocol} dport {rule.ports[0]}-{rule.ports[1]} "
    if rule.protocol == "icmp" and rule.ports and rule.ports[0] >= 0:
        code = f"icmp code {rule.ports[1]} " if rule.ports[1] >= 0 else ""
        return f"{text}icmp type {rule.ports[0]} {code}"
    return text if rule.protocol == "all" else f"{text}meta l4proto {rule.protocol} "


def _quotable(text: str) -> str:
    return re.sub(r"[^ !#-\[\]-~]", "?", text)[:100]
