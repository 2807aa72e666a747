"""NetworkState: what the simulated cloud network should be, as one frozen value.

It says nothing about namespaces or commands: compile.py turns it into them and reconcile.py applies the difference.
Its first source is a static plan (infra/lab/plan.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Literal

__all__ = ["Group", "GroupRule", "Interface", "NetworkState", "Route", "RouteTable", "Subnet", "Vpc"]


@dataclass(frozen=True, slots=True)
class GroupRule:
    """What a security group lets in: `source` is a CIDR or the name of a group; `ports` inclusive, None for all."""

    protocol: Literal["all", "tcp", "udp", "icmp"]
    source: str
    ports: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A security group: stateful, allow rules only, everything may leave."""

    name: str
    ingress: tuple[GroupRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """A route beyond the VPC's own range: to an interface by name, or `blackhole`."""

    destination: str
    target: str


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The routes of a subnet. What no route covers is dropped in silence, as the cloud does."""

    name: str
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Subnet:
    """A range of a VPC; its gateway is the first usable address (base + 1)."""

    name: str
    cidr: str
    route_table: str

    @property
    def network(self) -> IPv4Network:
        return IPv4Network(self.cidr)

    @property
    def gateway(self) -> str:
        return str(self.network.network_address + 1)


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface in a machine: the first of `addresses` is primary. All are /32s to the router."""

    name: str
    machine: str
    subnet: str
    addresses: tuple[str, ...]
    groups: tuple[str, ...]
    source_dest_check: bool = True
    device: str = "eth0"


@dataclass(frozen=True, slots=True)
class Vpc:
    """One virtual network: ranges, subnets and route tables."""

    name: str
    cidrs: tuple[str, ...]
    subnets: tuple[Subnet, ...]
    route_tables: tuple[RouteTable, ...]
    mtu: int = 9001


@dataclass(frozen=True, slots=True)
class NetworkState:
    """The whole network. `validate` is called before anything is applied."""

    vpcs: tuple[Vpc, ...]
    interfaces: tuple[Interface, ...] = ()
    groups: tuple[Group, ...] = ()
    # Subnets are unique by name across VPCs.
    _subnets: Mapping[str, tuple[Vpc, Subnet]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_subnets", {s.name: (vpc, s) for vpc in self.vpcs for s in vpc.subnets})

    def subnet(self, name: str) -> Subnet:
        return self._subnets[name][1]

    def vpc_of(self, interface: Interface) -> Vpc:
        return self._subnets[interface.subnet][0]

    def interface(self, name: str) -> Interface:
        return next(interface for interface in self.interfaces if interface.name == name)

    def validate(self) -> None:
        """Raises ValueError naming the first contradiction: unknown names, addresses outside or twice, overlaps."""
        groups = {group.name for group in self.groups}
        taken: dict[tuple[str, IPv4Address], str] = {}
        for interface in self.interfaces:
            if interface.subnet not in self._subnets:
                raise ValueError(f"interface {interface.name}: no subnet {interface.subnet}")
            vpc, subnet = self._subnets[interface.subnet]
            if not interface.addresses:
                raise ValueError(f"interface {interface.name} has no address")
            for text in interface.addresses:
                address = IPv4Address(text)
                if address not in subnet.network:
                    raise ValueError(f"interface {interface.name}: {text} is outside {subnet.name} ({subnet.cidr})")
                if holder := taken.get((vpc.name, address)):
                    raise ValueError(f"{text} is given twice: to {holder} and to {interface.name}")
                taken[vpc.name, address] = interface.name
            if unknown := set(interface.groups) - groups:
                raise ValueError(f"interface {interface.name}: no group {', '.join(sorted(unknown))}")
        for vpc in self.vpcs:
            self._validate_vpc(vpc)
        for group in self.groups:
            for rule in group.ingress:
                if rule.source not in groups:
                    ip_network(rule.source)

    def _validate_vpc(self, vpc: Vpc) -> None:
        tables = {table.name for table in vpc.route_tables}
        own = [ip_network(cidr) for cidr in vpc.cidrs]
        for index, subnet in enumerate(vpc.subnets):
            if subnet.route_table not in tables:
                raise ValueError(f"subnet {subnet.name}: no route table {subnet.route_table}")
            if not any(subnet.network.subnet_of(cidr) for cidr in own if isinstance(cidr, IPv4Network)):
                raise ValueError(f"subnet {subnet.name}: {subnet.cidr} is outside VPC {vpc.name}")
            for other in vpc.subnets[:index]:
                if subnet.network.overlaps(other.network):
                    raise ValueError(f"subnets {other.name} and {subnet.name} overlap")
        names = {interface.name for interface in self.interfaces}
        for table in vpc.route_tables:
            for route in table.routes:
                ip_address(route.destination.partition("/")[0])
                if route.target != "blackhole" and route.target not in names:
                    raise ValueError(f"route table {table.name}: {route.destination} goes to unknown {route.target}")
