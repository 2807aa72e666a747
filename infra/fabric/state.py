"""NetworkState: what the simulated cloud network should be, as one frozen value.

It says nothing about namespaces or commands: compile.py turns it into them and reconcile.py applies the difference.
Its first source is a static plan (infra/lab/plan.py). What is *not* in it, because it is not simulated: network ACLs,
bandwidth, latency between zones, IPv6, idle timeouts, layer 2 and multicast (the cloud has none either).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from kip_conformance.infra.fabric.gateways import (
    Association,
    GatewayEndpoint,
    InterfaceEndpoint,
    InternetGateway,
    NatGateway,
    Peering,
    VpnConnection,
    VpnGateway,
)
from kip_conformance.infra.fabric.groups import Group, GroupRule, PrefixList
from kip_conformance.infra.fabric.networks import Host, Lan
from kip_conformance.infra.fabric.ranges import network

__all__ = [
    "Association",
    "GatewayEndpoint",
    "Group",
    "GroupRule",
    "Host",
    "Interface",
    "InterfaceEndpoint",
    "InternetGateway",
    "Lan",
    "NatGateway",
    "NetworkState",
    "Peering",
    "PrefixList",
    "Route",
    "RouteTable",
    "Subnet",
    "Vpc",
    "VpnConnection",
    "VpnGateway",
]


@dataclass(frozen=True, slots=True)
class Route:
    """A route beside the local one: from a CIDR or a prefix list's name to something by its name, or `blackhole`.

    Targets: an interface, an internet, NAT or virtual private gateway, a peering, a gateway endpoint.
    """

    destination: str
    target: str


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The routes of subnets, or of a gateway. What no route covers is dropped in silence, as the cloud does.

    The local route is not listed and cannot be removed. `propagating` names the virtual private gateways whose
    connections' routes appear by themselves; a static route to the same destination wins over them.
    """

    name: str
    routes: tuple[Route, ...] = ()
    propagating: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subnet:
    """A range of a VPC; its gateway is the first usable address (base + 1). `zone` has no effect on packets."""

    name: str
    cidr: str
    route_table: str
    zone: str = ""

    @property
    def network(self) -> IPv4Network:
        return network(self.cidr)

    @property
    def gateway(self) -> str:
        return str(self.network.network_address + 1)


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface in a machine: the first of `addresses` is primary. All are /32s to the router.

    The machine has the primary address on `device`; the others are only routed to it. `mac` "" derives one from the
    primary address. `has_source_routing`: what leaves with one of its addresses leaves by it, as the cloud's own
    images set up; without it a second interface answers by the first one's default route.
    """

    name: str
    machine: str
    subnet: str
    addresses: tuple[str, ...]
    groups: tuple[str, ...]
    source_dest_check: bool = True
    device: str = "eth0"
    mac: str = ""
    has_source_routing: bool = False


@dataclass(frozen=True, slots=True)
class Vpc:
    """One virtual network: ranges (the first is primary), subnets and route tables. `mtu` in bytes."""

    name: str
    cidrs: tuple[str, ...]
    subnets: tuple[Subnet, ...]
    route_tables: tuple[RouteTable, ...]
    mtu: int = 9001

    @property
    def resolver(self) -> str:
        """Base + 2 of the primary range (Amazon VPC User Guide, "Understanding Amazon DNS")."""
        return str(IPv4Network(self.cidrs[0]).network_address + 2)


@dataclass(frozen=True, slots=True)
class NetworkState:
    """The whole network. `validate` is called before anything is applied."""

    vpcs: tuple[Vpc, ...]
    interfaces: tuple[Interface, ...] = ()
    groups: tuple[Group, ...] = ()
    prefix_lists: tuple[PrefixList, ...] = ()
    internet_gateways: tuple[InternetGateway, ...] = ()
    associations: tuple[Association, ...] = ()
    nat_gateways: tuple[NatGateway, ...] = ()
    peerings: tuple[Peering, ...] = ()
    vpn_gateways: tuple[VpnGateway, ...] = ()
    vpn_connections: tuple[VpnConnection, ...] = ()
    gateway_endpoints: tuple[GatewayEndpoint, ...] = ()
    interface_endpoints: tuple[InterfaceEndpoint, ...] = ()
    lans: tuple[Lan, ...] = ()
    hosts: tuple[Host, ...] = ()
    # Subnets and interfaces are unique by name across VPCs.
    _subnets: Mapping[str, tuple[Vpc, Subnet]] = field(init=False, repr=False, compare=False)
    _interfaces: Mapping[str, Interface] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_subnets", {s.name: (vpc, s) for vpc in self.vpcs for s in vpc.subnets})
        object.__setattr__(self, "_interfaces", {i.name: i for i in self.interfaces})

    def subnet(self, name: str) -> Subnet:
        return self._subnets[name][1]

    def has_subnet(self, name: str) -> bool:
        return name in self._subnets

    def vpc_at(self, subnet: str) -> Vpc:
        return self._subnets[subnet][0]

    def vpc_of(self, interface: Interface) -> Vpc:
        return self._subnets[interface.subnet][0]

    def vpc(self, name: str) -> Vpc:
        return next(vpc for vpc in self.vpcs if vpc.name == name)

    def interface(self, name: str) -> Interface:
        return self._interfaces[name]

    def peers_of(self, vpc: str) -> tuple[str, ...]:
        """The VPCs that `vpc` is peered with."""
        return tuple(other for p in self.peerings for other in p.vpcs if vpc in p.vpcs and other != vpc)

    def validate(self) -> None:
        """Raises ValueError with one line for each contradiction: what is wrong, and where."""
        from kip_conformance.infra.fabric.contradictions import contradictions

        if found := contradictions(self):
            raise ValueError("\n".join(found))
