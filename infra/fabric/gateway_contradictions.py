"""What is wrong with a NetworkState beyond its VPCs: gateways, peerings, endpoints, connections, networks, hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address

from kip_conformance.infra.fabric.networks import Host, Lan
from kip_conformance.infra.fabric.ranges import overlapping
from kip_conformance.infra.fabric.state import NetworkState

__all__ = ["gateway_contradictions"]


def gateway_contradictions(state: NetworkState) -> Iterator[str]:
    """One line each."""
    yield from _gateways(state)
    yield from _associations(state)
    yield from _peerings(state)
    yield from _endpoints(state)
    yield from _connections(state)
    yield from _networks(state)


def _gateways(state: NetworkState) -> Iterator[str]:
    vpcs = {vpc.name: vpc for vpc in state.vpcs}
    for what, gateways in (
        ("internet gateway", state.internet_gateways),
        ("virtual private gateway", state.vpn_gateways),
    ):
        held: dict[str, str] = {}
        for gateway in gateways:
            if gateway.vpc not in vpcs:
                yield f"{what} {gateway.name}: no VPC {gateway.vpc}"
                continue
            if other := held.get(gateway.vpc):
                yield f"{what} {gateway.name}: VPC {gateway.vpc} has {other} already"
            held[gateway.vpc] = gateway.name
            tables = {table.name for table in vpcs[gateway.vpc].route_tables}
            if gateway.route_table and gateway.route_table not in tables:
                yield f"{what} {gateway.name}: no route table {gateway.route_table}"


def _associations(state: NetworkState) -> Iterator[str]:
    addresses = {one.name: one.addresses for one in state.interfaces}
    addresses |= {one.name: (one.address,) for one in state.nat_gateways}
    segments = [lan for lan in state.lans if lan.is_public]
    for name, count in Counter(one.public for one in state.associations).items():
        if count > 1:
            yield f"public address {name} is associated {count} times"
    for (name, private), count in Counter((one.interface, one.private) for one in state.associations).items():
        if count > 1:
            yield f"{name}: {private} has {count} public addresses"
    for one in state.associations:
        where = f"public address {one.public}"
        if one.interface not in addresses:
            yield f"{where}: no interface or NAT gateway {one.interface}"
            continue
        if one.private not in addresses[one.interface]:
            yield f"{where}: {one.private} is no address of {one.interface}"
        for lan in segments:
            if IPv4Address(one.public) in lan.network:
                yield f"{where} is an address of network {lan.name}"


def _peerings(state: NetworkState) -> Iterator[str]:
    vpcs = {vpc.name: vpc for vpc in state.vpcs}
    seen: dict[frozenset[str], str] = {}
    for peering in state.peerings:
        if missing := [name for name in peering.vpcs if name not in vpcs]:
            yield f"peering {peering.name}: no VPC {missing[0]}"
            continue
        first, second = peering.vpcs
        if first == second:
            yield f"peering {peering.name}: {first} with itself"
            continue
        if other := seen.get(frozenset(peering.vpcs)):
            yield f"peering {peering.name}: {first} and {second} are peered by {other}"
        seen[frozenset(peering.vpcs)] = peering.name
        for one, another in overlapping(vpcs[first].cidrs, vpcs[second].cidrs):
            yield f"peering {peering.name}: {one} of {first} and {another} of {second} overlap"


def _endpoints(state: NetworkState) -> Iterator[str]:
    vpcs, lists = {vpc.name for vpc in state.vpcs}, {one.name for one in state.prefix_lists}
    for endpoint in state.gateway_endpoints:
        if endpoint.vpc not in vpcs:
            yield f"endpoint {endpoint.name}: no VPC {endpoint.vpc}"
        if endpoint.prefix_list not in lists:
            yield f"endpoint {endpoint.name}: no prefix list {endpoint.prefix_list}"
    destinations = {one.name: one.prefix_list for one in state.gateway_endpoints}
    for vpc in state.vpcs:
        for table in vpc.route_tables:
            for route in table.routes:
                if destinations.get(route.target, route.destination) != route.destination:
                    yield (
                        f"route table {table.name}: {route.destination} goes to endpoint {route.target}, "
                        f"which is for {destinations[route.target]}"
                    )


def _connections(state: NetworkState) -> Iterator[str]:
    gateways, machines = {one.name for one in state.vpn_gateways}, {one.machine for one in state.hosts}
    for connection in state.vpn_connections:
        if connection.gateway not in gateways:
            yield f"VPN connection {connection.name}: no virtual private gateway {connection.gateway}"
        if connection.machine not in machines:
            yield f"VPN connection {connection.name}: no place of a machine {connection.machine}"


def _networks(state: NetworkState) -> Iterator[str]:
    lans = {lan.name: lan for lan in state.lans}
    public = [lan.cidr for lan in state.lans if lan.is_public]
    for one, other in overlapping(public):
        yield f"public networks {one} and {other} overlap"
    taken: dict[tuple[str, str], str] = {}
    for host in state.hosts:
        if host.lan not in lans:
            yield f"place {host.name}: no network {host.lan}"
            continue
        for text in (host.address, *host.also):
            yield from _host(host, text, lans[host.lan])
            if holder := taken.get((host.lan, text)):
                yield f"{text} is given twice: to {holder} and to {host.name}"
            taken[host.lan, text] = host.name


def _host(host: Host, text: str, lan: Lan) -> Iterator[str]:
    address = IPv4Address(text)
    if address not in lan.network or address in (lan.network.network_address, lan.network.broadcast_address):
        yield f"place {host.name}: {text} is no host address of {lan.name} ({lan.cidr})"
    if text == lan.router:
        yield f"place {host.name}: {text} is the internet's own address in {lan.name}"
