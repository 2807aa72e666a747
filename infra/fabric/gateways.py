"""What leads out of a VPC, as values: internet and NAT gateways, peerings, VPN, endpoints. No behaviour lives here.

Sources: Amazon VPC User Guide ("Internet gateways", "NAT gateways"), Amazon VPC Peering Guide, AWS PrivateLink Guide
("Gateway endpoints", "Access an AWS service using an interface VPC endpoint"), AWS Site-to-Site VPN User Guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Association",
    "GatewayEndpoint",
    "InterfaceEndpoint",
    "InternetGateway",
    "NatGateway",
    "Peering",
    "VpnConnection",
    "VpnGateway",
]


@dataclass(frozen=True, slots=True)
class InternetGateway:
    """A VPC's way to the internet; at most one a VPC. `route_table`: the gateway route table, if it has one."""

    name: str
    vpc: str
    route_table: str = ""


@dataclass(frozen=True, slots=True)
class Association:
    """One public address stands for one private address of an interface or NAT gateway, primary or secondary.

    It has no effect while the VPC has no internet gateway.
    """

    public: str
    interface: str
    private: str


@dataclass(frozen=True, slots=True)
class NatGateway:
    """A NAT gateway with its private address in `subnet`; public by an Association to its name."""

    name: str
    subnet: str
    address: str


@dataclass(frozen=True, slots=True)
class Peering:
    """An active peering connection between two VPCs of one region."""

    name: str
    vpcs: tuple[str, str]


@dataclass(frozen=True, slots=True)
class VpnGateway:
    """A virtual private gateway; at most one a VPC. `route_table`: the gateway route table, if it has one."""

    name: str
    vpc: str
    route_table: str = ""


@dataclass(frozen=True, slots=True)
class VpnConnection:
    """A connection from a virtual private gateway to the customer gateway, a machine of some site.

    `routes` are the customer's ranges. `kind` says what carries the tunnel: `plain` is a link of `mtu` bytes, `none`
    leaves it to somebody else. `reports_too_big` False is what the provider documents: it drops what does not fit
    and says nothing, no path MTU discovery (AWS Site-to-Site VPN User Guide, "Limitations").
    """

    name: str
    gateway: str
    machine: str
    routes: tuple[str, ...]
    kind: Literal["plain", "none"] = "plain"
    mtu: int = 1419
    is_up: bool = True
    reports_too_big: bool = True


@dataclass(frozen=True, slots=True)
class GatewayEndpoint:
    """A way from one VPC to a service's prefix list beside the internet gateway, for tables with a route to it."""

    name: str
    vpc: str
    prefix_list: str


@dataclass(frozen=True, slots=True)
class InterfaceEndpoint:
    """A network interface that stands for `service` (an address): TCP to `address` arrives there."""

    name: str
    subnet: str
    address: str
    groups: tuple[str, ...]
    service: str
