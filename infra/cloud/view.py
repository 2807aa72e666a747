"""What the network of the cloud should be, as frozen plain values: what the fabric and the metadata service follow.

Read in the process of the API from moto's state (`view_of`), or anywhere from its JSON (`/_kip/view`, `CloudView.
from_json`). It says what the API says: ids are the API's, ranges are CIDR texts, absent things are left out. The
version grows with every change; a server that was started anew goes on above the last one.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.cloud.api.settings import Settings
from kip_conformance.infra.cloud.values import built

__all__ = [
    "CloudView",
    "DhcpOptions",
    "Endpoint",
    "Group",
    "Instance",
    "Interface",
    "InternetGateway",
    "NatGateway",
    "Peering",
    "PrefixList",
    "Route",
    "RouteTable",
    "Rule",
    "Subnet",
    "Tunnel",
    "Vpc",
    "VpnConnection",
    "VpnGateway",
    "view_of",
]


@dataclass(frozen=True, slots=True)
class Vpc:
    """`cidrs`: the primary range first. `dhcp_options` is empty when the VPC has none ("default")."""

    id: str
    cidrs: tuple[str, ...]
    dns_support: bool
    dns_hostnames: bool
    dhcp_options: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Subnet:
    """`route_table` is the one that counts: its own, or the VPC's main one."""

    id: str
    vpc: str
    cidr: str
    zone: str
    route_table: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """`destination` is a CIDR or a prefix list's id; `target` an id or `local`; `state` active or blackhole."""

    destination: str
    target: str
    state: str
    is_propagated: bool = False


@dataclass(frozen=True, slots=True)
class RouteTable:
    """`subnets` are those explicitly associated, `gateways` edge associations."""

    id: str
    vpc: str
    is_main: bool
    subnets: tuple[str, ...]
    gateways: tuple[str, ...]
    routes: tuple[Route, ...]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface. `addresses`: the primary one first. `public` is by private address.

    `kind` is interface, nat_gateway or vpc_endpoint; for the last two `service` is the gateway's or endpoint's id, and
    no instance has it.
    """

    id: str
    subnet: str
    vpc: str
    mac: str
    addresses: tuple[str, ...]
    public: dict[str, str]
    groups: tuple[str, ...]
    source_dest_check: bool
    kind: str
    service: str
    instance: str
    device_index: int


@dataclass(frozen=True, slots=True)
class Rule:
    """What a group lets through; exactly one of `cidr`, `group`, `prefix_list` is set.

    `protocol` is all, tcp, udp, icmp or a number. `ports` is inclusive, None for all; for ICMP type and code, -1 any.
    """

    protocol: str
    ports: tuple[int, int] | None
    cidr: str = ""
    group: str = ""
    prefix_list: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A security group."""

    id: str
    name: str
    vpc: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class PrefixList:
    """A list of ranges that routes and rules name."""

    id: str
    name: str
    cidrs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InternetGateway:
    """`vpc` is empty while it is not attached."""

    id: str
    vpc: str


@dataclass(frozen=True, slots=True)
class NatGateway:
    """An available NAT gateway; `public` is empty for a private one."""

    id: str
    vpc: str
    subnet: str
    interface: str
    private: str
    public: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A VPC endpoint: `kind` Gateway, with route tables, or Interface, with interfaces and groups.

    `names` are the names that private DNS gives it in its VPC (`*` for any label); empty when it is off.
    """

    id: str
    vpc: str
    kind: str
    service: str
    route_tables: tuple[str, ...]
    interfaces: tuple[str, ...]
    groups: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Peering:
    """An active peering connection."""

    id: str
    requester: str
    accepter: str


@dataclass(frozen=True, slots=True)
class VpnGateway:
    """A virtual private gateway; `vpc` is empty while it is not attached."""

    id: str
    vpc: str


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One of a connection's two tunnels: the gateway's outside address, the range inside, the shared key."""

    outside: str
    inside: str
    key: str


@dataclass(frozen=True, slots=True)
class VpnConnection:
    """`customer` is the public address of the customer's gateway, `routes` the ranges behind it."""

    id: str
    gateway: str
    customer: str
    routes: tuple[str, ...]
    tunnels: tuple[Tunnel, ...]


@dataclass(frozen=True, slots=True)
class DhcpOptions:
    """`servers` may hold AmazonProvidedDNS."""

    id: str
    domain_name: str
    servers: tuple[str, ...]
    ntp: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance that has not ended. `interfaces` are ids by device index, `user_data` is base64.

    `boots` grows with each start and reboot; `state` is pending, running, stopping, stopped or shutting-down.
    `launched` is the time of the last start, ISO 8601 in UTC; `public_key` is the key pair's, as OpenSSH writes it.
    """

    id: str
    type: str
    image: str
    state: str
    zone: str
    vpc: str
    interfaces: dict[str, str]
    user_data: str
    role: str
    key_name: str
    launch_index: int
    boots: int
    tags: dict[str, str]
    metadata_tokens: str
    metadata_hop_limit: int
    metadata_endpoint: str
    metadata_tags: str
    reservation: str = ""
    launched: str = ""
    public_key: str = ""


@dataclass(frozen=True, slots=True)
class CloudView:
    """Everything of one region."""

    version: int
    region: str
    account: str
    public_pool: str
    vpcs: tuple[Vpc, ...]
    subnets: tuple[Subnet, ...]
    route_tables: tuple[RouteTable, ...]
    interfaces: tuple[Interface, ...]
    groups: tuple[Group, ...]
    prefix_lists: tuple[PrefixList, ...]
    internet_gateways: tuple[InternetGateway, ...]
    nat_gateways: tuple[NatGateway, ...]
    endpoints: tuple[Endpoint, ...]
    peerings: tuple[Peering, ...]
    vpn_gateways: tuple[VpnGateway, ...]
    vpn_connections: tuple[VpnConnection, ...]
    dhcp_options: tuple[DhcpOptions, ...]
    instances: tuple[Instance, ...]

    def to_json(self) -> str:
        """One line of JSON; `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> CloudView:
        """Raises ValueError when it is no view."""
        try:
            view: CloudView = built(cls, json.loads(text))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no view of the cloud: {error!r}") from error
        return view


def view_of(backend: Any, settings: Settings, version: int) -> CloudView:
    """The view of moto's state; the caller holds the store's lock."""
    # Here, so that readers of the JSON do not import moto.
    from kip_conformance.infra.cloud.api.viewing import parts

    return CloudView(
        version=version, region=settings.region, account=settings.account, public_pool=settings.public_pool,
        **parts(backend),
    )  # fmt: skip
