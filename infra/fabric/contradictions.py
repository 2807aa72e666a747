"""What is wrong with a NetworkState, one line each: unknown names, addresses outside or twice, overlaps, bad ranges.

Nothing is applied of a state that has any. The rules are the cloud's own: Amazon VPC User Guide ("Subnet CIDR
blocks", "Route tables"), Amazon VPC Peering Guide ("VPC peering limitations").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError, ip_network

from kip_conformance.infra.fabric.gateway_contradictions import gateway_contradictions
from kip_conformance.infra.fabric.groups import GroupRule
from kip_conformance.infra.fabric.names import NAMEABLE, router_device
from kip_conformance.infra.fabric.ranges import network, overlapping
from kip_conformance.infra.fabric.state import NetworkState, Route, RouteTable, Subnet, Vpc

__all__ = ["contradictions"]

_PROTOCOLS = {"all", "tcp", "udp", "icmp"}


def contradictions(state: NetworkState) -> list[str]:
    """Every contradiction, in the order of the state. Ranges that are none end the search: the rest builds on them."""
    if broken := [*_names(state), *_ranges(state)]:
        return broken
    found = [line for vpc in state.vpcs for line in _vpc(state, vpc)]
    return [*found, *_interfaces(state), *_groups(state), *gateway_contradictions(state)]


def _names(state: NetworkState) -> Iterator[str]:
    """Names are namespaces' and targets of routes: each can be written down, and is there once."""
    kinds = (
        ("VPC", [one.name for one in state.vpcs]),
        ("subnet", [subnet.name for vpc in state.vpcs for subnet in vpc.subnets]),
        ("group", _peers(state)),
        ("network", [one.name for one in state.lans]),
        ("place", [one.name for one in state.hosts]),
    )
    targets = [
        *((f"interface {one.name}", one.name) for one in state.interfaces),
        *((f"internet gateway {one.name}", one.name) for one in state.internet_gateways),
        *((f"NAT gateway {one.name}", one.name) for one in state.nat_gateways),
        *((f"peering {one.name}", one.name) for one in state.peerings),
        *((f"virtual private gateway {one.name}", one.name) for one in state.vpn_gateways),
        *((f"VPN connection {one.name}", one.name) for one in state.vpn_connections),
        *((f"endpoint {one.name}", one.name) for one in state.gateway_endpoints),
        *((f"endpoint {one.name}", one.name) for one in state.interface_endpoints),
    ]
    for what, names in kinds:
        for name, count in Counter(names).items():
            if count > 1:
                yield f"{what} {name} is there {count} times"
    holders: dict[str, str] = {}
    for what, name in targets:
        if name in holders:
            yield f"{what}: the name is taken by {holders[name]}"
        holders.setdefault(name, what)
        if not NAMEABLE.fullmatch(name) or name == "blackhole":
            yield f"{what}: letters, digits and _.- only, and not blackhole"
    devices: dict[str, str] = {}
    for name in holders:
        if (at := router_device(name)) in devices:
            yield f"{name} and {devices[at]} come to one device name, {at}"
        devices[at] = name
    pairs = Counter((one.machine, one.device) for one in state.interfaces)
    pairs.update((one.machine, one.device) for one in state.hosts)
    written = {machine for machine, _ in pairs} | {v.name for v in state.vpcs} | {one.name for one in state.lans}
    yield from (f"{name!r}: letters, digits and _.- only" for name in sorted(written) if not NAMEABLE.fullmatch(name))
    for (machine, device), count in pairs.items():
        if count > 1:
            yield f"machine {machine}: {count} interfaces are {device}"
        if not 0 < len(device) <= 15 or not NAMEABLE.fullmatch(device):
            yield f"machine {machine}: {device!r} is no device name (15 characters at most)"


def _ranges(state: NetworkState) -> Iterator[str]:
    lists = {one.name for one in state.prefix_lists}
    texts: list[tuple[str, str]] = [
        *((f"VPC {vpc.name}", cidr) for vpc in state.vpcs for cidr in vpc.cidrs),
        *((f"subnet {subnet.name}", subnet.cidr) for vpc in state.vpcs for subnet in vpc.subnets),
        *((f"prefix list {one.name}", cidr) for one in state.prefix_lists for cidr in one.cidrs),
        *((f"network {lan.name}", lan.cidr) for lan in state.lans),
        *((f"VPN connection {one.name}", cidr) for one in state.vpn_connections for cidr in one.routes),
        *(
            (f"route table {table.name}", route.destination)
            for vpc in state.vpcs
            for table in vpc.route_tables
            for route in table.routes
            if route.destination not in lists
        ),
    ]
    for what, text in texts:
        try:
            IPv4Network(text)
        except (AddressValueError, NetmaskValueError, ValueError) as error:
            yield f"{what}: {text} is no IPv4 range ({error})"
    addresses: list[tuple[str, str]] = [
        *((f"interface {one.name}", address) for one in state.interfaces for address in one.addresses),
        *((f"NAT gateway {one.name}", one.address) for one in state.nat_gateways),
        *((f"endpoint {one.name}", a) for one in state.interface_endpoints for a in (one.address, one.service)),
        *((f"association of {one.interface}", a) for one in state.associations for a in (one.public, one.private)),
        *((f"place {one.name}", address) for one in state.hosts for address in (one.address, *one.also)),
    ]
    for what, text in addresses:
        try:
            IPv4Address(text)
        except AddressValueError:
            yield f"{what}: {text} is no IPv4 address"
    yield from (f"VPC {vpc.name} has no range" for vpc in state.vpcs if not vpc.cidrs)


def _vpc(state: NetworkState, vpc: Vpc) -> Iterator[str]:
    tables = {table.name for table in vpc.route_tables}
    for one, other in overlapping(vpc.cidrs):
        yield f"VPC {vpc.name}: {one} and {other} overlap"
    for name, count in Counter(table.name for table in vpc.route_tables).items():
        if count > 1:
            yield f"VPC {vpc.name}: route table {name} is there {count} times"
    for index, subnet in enumerate(vpc.subnets):
        if subnet.route_table not in tables:
            yield f"subnet {subnet.name}: no route table {subnet.route_table}"
        if not any(subnet.network.subnet_of(network(cidr)) for cidr in vpc.cidrs):
            yield f"subnet {subnet.name}: {subnet.cidr} is outside VPC {vpc.name}"
        for other_subnet in vpc.subnets[:index]:
            if subnet.network.overlaps(other_subnet.network):
                yield f"subnets {other_subnet.name} and {subnet.name} overlap"
    targets = _targets(state, vpc)
    for table in vpc.route_tables:
        yield from _table(state, vpc, table, targets)


def _targets(state: NetworkState, vpc: Vpc) -> dict[str, str]:
    """What a route of this VPC can lead to, by name: its kind."""
    return {
        **{one.name: "interface" for one in state.interfaces if _is_in(state, one.subnet, vpc)},
        **{one.name: "interface" for one in state.nat_gateways if _is_in(state, one.subnet, vpc)},
        **{one.name: "gateway" for one in state.internet_gateways if one.vpc == vpc.name},
        **{one.name: "gateway" for one in state.vpn_gateways if one.vpc == vpc.name},
        **{one.name: "gateway" for one in state.peerings if vpc.name in one.vpcs},
        **{one.name: "endpoint" for one in state.gateway_endpoints if one.vpc == vpc.name},
        "blackhole": "blackhole",
    }


def _is_in(state: NetworkState, subnet: str, vpc: Vpc) -> bool:
    return state.has_subnet(subnet) and state.vpc_at(subnet).name == vpc.name


def _table(state: NetworkState, vpc: Vpc, table: RouteTable, targets: dict[str, str]) -> Iterator[str]:
    lists = {one.name: one for one in state.prefix_lists}
    seen: set[str] = set()
    for route in table.routes:
        where = f"route table {table.name}: {route.destination}"
        if route.destination in seen:
            yield f"{where} is there twice"
        seen.add(route.destination)
        if route.target not in targets:
            yield f"{where} goes to unknown {route.target}"
        elif route.destination not in lists:
            yield from _beside_local(vpc, route, where, targets[route.target])
    for gateway in table.propagating:
        if targets.get(gateway) is None or gateway not in {one.name for one in state.vpn_gateways}:
            yield f"route table {table.name}: propagates from unknown {gateway}"


def _beside_local(vpc: Vpc, route: Route, where: str, kind: str) -> Iterator[str]:
    destination = network(route.destination)
    if any(destination == network(cidr) for cidr in vpc.cidrs):
        yield f"{where} is the local route, which cannot be replaced"
    elif any(destination.subnet_of(network(cidr)) for cidr in vpc.cidrs):
        if not any(destination == subnet.network for subnet in vpc.subnets):
            yield f"{where} is part of the local route and not exactly a subnet"
        if kind not in ("interface", "blackhole"):
            yield f"{where} is part of the local route and can lead to an interface or NAT gateway only"


def _interfaces(state: NetworkState) -> Iterator[str]:
    groups = {group.name for group in state.groups}
    taken: dict[tuple[str, IPv4Address], str] = {}
    for what, subnet_name, addresses, own_groups in _placed(state):
        if not state.has_subnet(subnet_name):
            yield f"{what}: no subnet {subnet_name}"
            continue
        vpc, subnet = state.vpc_at(subnet_name), state.subnet(subnet_name)
        if not addresses:
            yield f"{what} has no address"
        for text in addresses:
            address = IPv4Address(text)
            if address not in subnet.network:
                yield f"{what}: {text} is outside {subnet.name} ({subnet.cidr})"
            elif _is_reserved(subnet, address):
                yield f"{what}: {text} is reserved in {subnet.name} ({subnet.cidr})"
            if holder := taken.get((vpc.name, address)):
                yield f"{text} is given twice: to {holder} and to {what}"
            taken[vpc.name, address] = what
        if unknown := sorted(set(own_groups) - groups):
            yield f"{what}: no group {', '.join(unknown)}"


def _placed(state: NetworkState) -> Iterator[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    """Whatever has addresses in a subnet: what it is, subnet, addresses, groups."""
    for interface in state.interfaces:
        yield f"interface {interface.name}", interface.subnet, interface.addresses, interface.groups
    for nat in state.nat_gateways:
        yield f"NAT gateway {nat.name}", nat.subnet, (nat.address,), ()
    for endpoint in state.interface_endpoints:
        yield f"endpoint {endpoint.name}", endpoint.subnet, (endpoint.address,), endpoint.groups


def _is_reserved(subnet: Subnet, address: IPv4Address) -> bool:
    """The first four and the last address of a subnet (Amazon VPC User Guide, "Subnet CIDR blocks")."""
    return int(address) - int(subnet.network.network_address) < 4 or address == subnet.network.broadcast_address


def _groups(state: NetworkState) -> Iterator[str]:
    known = set(_peers(state))
    for group in state.groups:
        for rule in (*group.ingress, *group.egress):
            yield from (f"group {group.name}: {line}" for line in _rule(rule, known))


def _peers(state: NetworkState) -> list[str]:
    """What a rule of a group can name: groups and prefix lists share one set of names."""
    return [*(group.name for group in state.groups), *(one.name for one in state.prefix_lists)]


def _rule(rule: GroupRule, known: Iterable[str]) -> Iterator[str]:
    if rule.peer not in known:
        try:
            ip_network(rule.peer)
        except ValueError:
            yield f"{rule.peer} is no group, no prefix list and no range"
    is_number = rule.protocol.isdigit() and int(rule.protocol) < 256
    if rule.protocol not in _PROTOCOLS and not is_number:
        yield f"no protocol {rule.protocol}"
    if rule.ports is None:
        return
    low, high = rule.ports
    if rule.protocol in ("tcp", "udp"):
        if not 0 <= low <= high <= 65535:
            yield f"ports {low}-{high} are no range"
    elif rule.protocol == "icmp":
        if not (-1 <= low <= 255 and -1 <= high <= 255):
            yield f"no ICMP type {low} with code {high}"
    else:
        yield f"protocol {rule.protocol} has no ports"
