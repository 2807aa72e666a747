"""From what the cloud's API says to what the network should be: a CloudView as a NetworkState. Pure.

Names in the state are the API's ids, or what the tag NAME_TAG says instead: in a lab people look into networks and
machines by name. What leads nowhere (a route to something that is gone or not attached, an endpoint
of a service that nobody serves here) drops packets in silence, as in the cloud.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kip_conformance.infra.cloud import view as api
from kip_conformance.infra.cloud.outside import Outside
from kip_conformance.infra.fabric import state as net

__all__ = ["NAME_TAG", "interface_names", "machine_of", "network_of", "on_the_network"]

NAME_TAG = "kip-conformance/name"
"""The tag that gives a VPC, or an instance and its first interface, a name in the lab."""

_ON = ("pending", "running", "stopping", "shutting-down")


def machine_of(instance: api.Instance) -> str:
    """The name of an instance's machine."""
    return instance.tags.get(NAME_TAG, instance.id)


def interface_names(view: api.CloudView) -> dict[str, str]:
    """What the interfaces of machines are called, by id."""
    on = on_the_network(view)
    return {
        one.id: on[one.instance].tags.get(NAME_TAG, one.id) if one.device_index == 0 else one.id
        for one in view.interfaces
        if one.instance in on
    }


def on_the_network(view: api.CloudView) -> dict[str, api.Instance]:
    """The instances that have a machine, by id. A stopped one keeps its interfaces, and nothing answers there."""
    return {one.id: one for one in view.instances if one.state in _ON}


def network_of(view: api.CloudView, around: Outside) -> net.NetworkState:
    """The whole network of a region and of what is around it."""
    machines, names = on_the_network(view), interface_names(view)
    vpcs = {one.id: one.tags.get(NAME_TAG, one.id) for one in view.vpcs}
    interfaces = tuple(
        net.Interface(
            name=names[one.id],
            machine=machine_of(machines[one.instance]),
            subnet=one.subnet,
            addresses=one.addresses,
            groups=one.groups,
            source_dest_check=one.source_dest_check,
            device=f"eth{one.device_index}",
            mac=one.mac,
            has_source_routing=one.device_index > 0,
        )
        for one in view.interfaces
        if one.instance in machines
    )
    attached = {one.id for one in view.internet_gateways if one.vpc} | {one.id for one in view.vpn_gateways if one.vpc}
    gateway_endpoints = tuple(_gateway_endpoints(view, vpcs))
    peers = {one.id for one in view.groups} | {one.id for one in view.prefix_lists}
    targets = names | {
        name: name
        for name in (
            *attached,
            *(one.id for one in view.nat_gateways),
            *(one.id for one in view.peerings),
            *(one.name for one in gateway_endpoints),
        )
    }
    return net.NetworkState(
        vpcs=tuple(_vpc(view, vpc, vpcs[vpc.id], targets) for vpc in view.vpcs),
        interfaces=interfaces,
        groups=tuple(net.Group(one.id, _rules(one.ingress, peers), _rules(one.egress, peers)) for one in view.groups),
        prefix_lists=tuple(net.PrefixList(one.id, one.cidrs) for one in view.prefix_lists),
        internet_gateways=tuple(
            net.InternetGateway(one.id, vpcs[one.vpc], _table_of_gateway(view, one.id))
            for one in view.internet_gateways
            if one.vpc
        ),
        associations=tuple(_associations(view, names)),
        nat_gateways=tuple(net.NatGateway(one.id, one.subnet, one.private) for one in view.nat_gateways),
        peerings=tuple(net.Peering(one.id, (vpcs[one.requester], vpcs[one.accepter])) for one in view.peerings),
        vpn_gateways=tuple(
            net.VpnGateway(one.id, vpcs[one.vpc], _table_of_gateway(view, one.id))
            for one in view.vpn_gateways
            if one.vpc
        ),
        vpn_connections=tuple(
            net.VpnConnection(one.id, one.gateway, around.customers[one.customer], one.routes)
            for one in view.vpn_connections
            if one.customer in around.customers and one.gateway in attached
        ),
        gateway_endpoints=gateway_endpoints,
        interface_endpoints=tuple(_interface_endpoints(view, around)),
        lans=around.lans,
        hosts=around.hosts,
    )


def _vpc(view: api.CloudView, vpc: api.Vpc, name: str, targets: Mapping[str, str]) -> net.Vpc:
    return net.Vpc(
        name,
        vpc.cidrs,
        tuple(net.Subnet(one.id, one.cidr, one.route_table, one.zone) for one in view.subnets if one.vpc == vpc.id),
        tuple(_table(one, targets) for one in view.route_tables if one.vpc == vpc.id),
    )


def _table(table: api.RouteTable, targets: Mapping[str, str]) -> net.RouteTable:
    # No packet of IPv6 is simulated.
    own = [r for r in table.routes if r.target != "local" and not r.is_propagated and ":" not in r.destination]
    return net.RouteTable(
        table.id,
        tuple(net.Route(one.destination, _target(one, targets)) for one in own),
        tuple(dict.fromkeys(one.target for one in table.routes if one.is_propagated and one.target in targets)),
    )


def _target(route: api.Route, targets: Mapping[str, str]) -> str:
    return targets.get(route.target, "blackhole") if route.state == "active" else "blackhole"


def _rules(rules: Iterable[api.Rule], peers: set[str]) -> tuple[net.GroupRule, ...]:
    """A rule that names a group which is gone, as that of a peer may be, is stale and lets nobody pass."""
    return tuple(
        net.GroupRule(one.protocol, one.cidr or one.group or one.prefix_list, one.ports)
        for one in rules
        if one.cidr or one.group in peers or one.prefix_list in peers
    )


def _table_of_gateway(view: api.CloudView, gateway: str) -> str:
    """The gateway's own route table, by an edge association; empty when it has none."""
    return next((one.id for one in view.route_tables if gateway in one.gateways), "")


def _associations(view: api.CloudView, names: Mapping[str, str]) -> Iterable[net.Association]:
    for one in view.interfaces:
        if one.id in names:
            for private, public in one.public.items():
                yield net.Association(public, names[one.id], private)
    for gateway in view.nat_gateways:
        if gateway.public:
            yield net.Association(gateway.public, gateway.id, gateway.private)


def _gateway_endpoints(view: api.CloudView, vpcs: Mapping[str, str]) -> Iterable[net.GatewayEndpoint]:
    lists = {one.name: one.id for one in view.prefix_lists}
    for one in view.endpoints:
        if one.kind == "Gateway" and one.service in lists:
            yield net.GatewayEndpoint(one.id, vpcs[one.vpc], lists[one.service])


def _interface_endpoints(view: api.CloudView, around: Outside) -> Iterable[net.InterfaceEndpoint]:
    by_id = {one.id: one for one in view.interfaces}
    for endpoint in view.endpoints:
        address = around.address_of(endpoint.service)
        for one in (by_id[name] for name in endpoint.interfaces if name in by_id):
            if address:
                yield net.InterfaceEndpoint(one.id, one.subnet, one.addresses[0], one.groups, address)
