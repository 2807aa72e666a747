"""From a NetworkState to what each network namespace must hold, piece by piece, so that a difference can be applied.

    machine ---- NIC ---- router of the VPC ---- internet gateway ---- internet ---- public segments
                            |      |    |
                            |      |    +------- virtual private gateway ---- customer gateway, a machine of a site
                            |      +------------ router of a peered VPC
                            +------------------- NAT gateway; interface endpoint (by a NIC of its own)

What each namespace holds is said in nic.py, machine.py, router.py, translators.py, internet.py and vpn.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from kip_conformance.infra.fabric.config import Compiled, Link, NamespaceConfig
from kip_conformance.infra.fabric.internet import endpoint_addresses, internet_config, segment_items
from kip_conformance.infra.fabric.machine import host_items, interface_items, with_items
from kip_conformance.infra.fabric.members import Members
from kip_conformance.infra.fabric.names import (
    INTERNET,
    Numbers,
    device,
    endpoint_namespace,
    internet_gateway_namespace,
    lan_namespace,
    machine_namespace,
    nat_namespace,
    nic_namespace,
    router_device,
    router_namespace,
    vpn_gateway_namespace,
)
from kip_conformance.infra.fabric.nic import nic_config
from kip_conformance.infra.fabric.router import effective_routes, router_config
from kip_conformance.infra.fabric.state import Interface, InterfaceEndpoint, NetworkState, Vpc
from kip_conformance.infra.fabric.translators import (
    endpoint_items,
    endpoint_table,
    internet_gateway_config,
    nat_config,
    nat_interface,
)
from kip_conformance.infra.fabric.vpn import (
    carried,
    customer_items,
    tunnel_device,
    tunnel_link,
    vpn_gateway_config,
)
from kip_conformance.infra.fabric.wires import (
    ENDPOINT_MTU,
    INTERNET_MTU,
    NAT_MTU,
    ROUTER_SYSCTLS,
    address_mac,
    mac,
    nic_links,
    wire,
)

__all__ = ["compile_state"]

_FIRST_PORT = 100_000


def compile_state(state: NetworkState, known: Mapping[str, Mapping[str, int]] | None = None) -> Compiled:
    """`known` are the numbers that an earlier state was given.

    Raises ValueError for a state that contradicts itself.
    """
    state.validate()
    return _Compilation(state, Numbers(known)).compiled()


class _Compilation:
    def __init__(self, state: NetworkState, numbers: Numbers) -> None:
        self.state, self.numbers = state, numbers
        self.members = Members(state)
        self.routed = _routed(state)
        self.links: dict[str, Link] = {}
        self.namespaces: dict[str, NamespaceConfig] = {}

    def compiled(self) -> Compiled:
        state = self.state
        for interface in state.interfaces:
            self._interface(interface)
        for host in state.hosts:
            self._host(host.machine, host.name)
        for lan in (one for one in state.lans if not one.is_public):
            ports = {host.name: device("h", host.name) for host in state.hosts if host.lan == lan.name}
            self.namespaces[lan_namespace(lan.name)] = NamespaceConfig(
                ROUTER_SYSCTLS, segment_items(lan, device("n", lan.name), ports), None, tuple(ports.values())
            )
        for vpc in state.vpcs:
            self._vpc(vpc)
        for peering in state.peerings:
            at, (first, second) = device("p", peering.name), peering.vpcs
            mtu = min(state.vpc(first).mtu, state.vpc(second).mtu)
            self.links[peering.name] = wire(((router_namespace(first), at), (router_namespace(second), at)), mtu)
        if any((state.internet_gateways, state.gateway_endpoints, state.interface_endpoints)) or any(
            lan.is_public for lan in state.lans
        ):
            self.namespaces[INTERNET] = internet_config(state, self.numbers)
        self._connections()
        return Compiled(self.links, self.namespaces, self.numbers.given)

    def _interface(self, interface: Interface) -> None:
        state, vpc = self.state, self.state.vpc_of(interface)
        machine = machine_namespace(interface.machine)
        self.links |= nic_links(interface, vpc)
        self.namespaces[nic_namespace(interface.name)] = nic_config(state, interface, self.members, self.routed)
        self.namespaces[machine] = with_items(
            self.namespaces.get(machine), interface_items(state, interface), interface.device
        )

    def _host(self, machine: str, name: str) -> None:
        host = next(one for one in self.state.hosts if one.name == name)
        lan = next(one for one in self.state.lans if one.name == host.lan)
        inside, segment = machine_namespace(machine), INTERNET if lan.is_public else lan_namespace(lan.name)
        # A pair whose ends happen to have one index is up to a second late in telling a bridge that it is up.
        index = self.numbers.of("segment ports", (one.name for one in self.state.hosts), _FIRST_PORT)[name]
        ends = ((segment, device("h", name)), (inside, host.device))
        macs = (address_mac(0xFA, host.address), address_mac(0xFB, host.address))
        self.links[name] = wire(ends, lan.mtu, macs, index)
        self.namespaces[inside] = with_items(self.namespaces.get(inside), host_items(host, lan), host.device)

    def _vpc(self, vpc: Vpc) -> None:
        state, name = self.state, router_namespace(vpc.name)
        interfaces = [i for i in state.interfaces if state.vpc_of(i).name == vpc.name]
        for nat in (one for one in state.nat_gateways if state.vpc_at(one.subnet).name == vpc.name):
            stand_in = nat_interface(nat)
            interfaces.append(stand_in)
            self.namespaces[nat_namespace(nat.name)] = nat_config(nat)
            ends = ((nat_namespace(nat.name), "wire"), (name, router_device(nat.name)))
            self.links[nat.name] = wire(ends, NAT_MTU, (mac(0xFD, stand_in), mac(0xFC, stand_in)))
        for endpoint in (one for one in state.interface_endpoints if state.vpc_at(one.subnet).name == vpc.name):
            interfaces.append(self._interface_endpoint(endpoint, vpc))
        for gateway_endpoint in (one for one in state.gateway_endpoints if one.vpc == vpc.name):
            at = device("s", gateway_endpoint.name)
            self.links[gateway_endpoint.name] = wire(((name, at), (INTERNET, at)), vpc.mtu)
        for igw in (one for one in state.internet_gateways if one.vpc == vpc.name):
            own = internet_gateway_namespace(igw.name)
            self.namespaces[own] = internet_gateway_config(state, vpc)
            self.links[f"{igw.name}/vpc"] = wire(((name, "igw"), (own, "vpc")), INTERNET_MTU)
            self.links[f"{igw.name}/out"] = wire(((own, "out"), (INTERNET, device("i", igw.name))), INTERNET_MTU)
        for vgw in (one for one in state.vpn_gateways if one.vpc == vpc.name):
            own = vpn_gateway_namespace(vgw.name)
            self.namespaces[own] = vpn_gateway_config(state, vgw, vpc)
            self.links[f"{vgw.name}/vpc"] = wire(((name, "vgw"), (own, "vpc")), vpc.mtu)
        self.namespaces[name] = router_config(state, vpc, interfaces, self.numbers)

    def _interface_endpoint(self, endpoint: InterfaceEndpoint, vpc: Vpc) -> Interface:
        stand_in = Interface(endpoint.name, "", endpoint.subnet, (endpoint.address,), endpoint.groups)
        own = endpoint_addresses(self.state, self.numbers)[endpoint.name]
        behind = endpoint_namespace(endpoint.name)
        self.links |= nic_links(stand_in, vpc, behind)
        self.links[f"{endpoint.name}/service"] = wire(
            ((behind, "svc"), (INTERNET, device("x", endpoint.name))), ENDPOINT_MTU
        )
        self.namespaces[nic_namespace(endpoint.name)] = nic_config(self.state, stand_in, self.members, self.routed)
        items = {**interface_items(self.state, stand_in), **endpoint_items(endpoint, own)}
        self.namespaces[behind] = NamespaceConfig(ROUTER_SYSCTLS, items, endpoint_table(endpoint, own), ("eth0", "svc"))
        return stand_in

    def _connections(self) -> None:
        state = self.state
        vpcs = {one.name: state.vpc(one.vpc) for one in state.vpn_gateways}
        for connection in carried(state):
            self.links[connection.name] = tunnel_link(connection)
            machine = machine_namespace(connection.machine)
            place = next(host for host in state.hosts if host.machine == connection.machine)
            items = customer_items(connection, vpcs[connection.gateway], place)
            self.namespaces[machine] = with_items(self.namespaces.get(machine), items, tunnel_device(connection))


def _routed(state: NetworkState) -> dict[str, tuple[str, ...]]:
    """The ranges that route tables send to each interface: its NIC hands them to the machine."""
    found: dict[str, set[str]] = {}
    names = {interface.name for interface in state.interfaces}
    for vpc in state.vpcs:
        for table in vpc.route_tables:
            for route in effective_routes(state, vpc, table):
                if route.target in names:
                    found.setdefault(route.target, set()).add(route.destination)
    return {name: tuple(sorted(ranges)) for name, ranges in found.items()}
