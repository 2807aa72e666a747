"""What an instance finds around itself, as frozen values: its metadata, the names of its VPC, its DHCP lease.

Plain values and their JSON; nothing here knows a server, a namespace or the cloud's API. Whoever realizes instances
makes these from what the API says; infra/cloud/link_local serves them and infra/cloud/boot uses the lease.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

__all__ = [
    "HostedZone",
    "InstanceFacts",
    "InterfaceFacts",
    "LeaseFacts",
    "MetadataOptions",
    "RoleFacts",
    "Upstream",
    "WorldFacts",
    "ZoneFacts",
    "internal_domain",
    "private_name",
    "public_name",
]

_EAST = "us-east-1"


def internal_domain(region: str) -> str:
    """The domain of private names (Amazon VPC User Guide, DNS attributes for your VPC)."""
    return "ec2.internal" if region == _EAST else f"{region}.compute.internal"


def private_name(address: str, region: str) -> str:
    """The IP-based private name, like ip-10-20-1-11.eu-central-1.compute.internal."""
    return f"ip-{address.replace('.', '-')}.{internal_domain(region)}"


def public_name(address: str, region: str) -> str:
    """The public name of a public address, like ec2-203-0-113-5.eu-central-1.compute.amazonaws.com."""
    domain = "compute-1.amazonaws.com" if region == _EAST else f"{region}.compute.amazonaws.com"
    return f"ec2-{address.replace('.', '-')}.{domain}"


@dataclass(frozen=True, slots=True)
class InterfaceFacts:
    """One network interface. `netns` is the network namespace in which its services listen.

    `addresses` are private, the primary first; `public` are pairs (public, private); `groups` pairs (id, name).
    """

    interface_id: str
    netns: str
    device_number: int
    mac: str
    subnet_id: str
    subnet_cidr: str
    vpc_id: str
    vpc_cidrs: tuple[str, ...]
    addresses: tuple[str, ...]
    public: tuple[tuple[str, str], ...] = ()
    groups: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> InterfaceFacts:
        return cls(
            **{
                **data,
                "vpc_cidrs": tuple(data["vpc_cidrs"]),
                "addresses": tuple(data["addresses"]),
                "public": _pairs(data["public"]),
                "groups": _pairs(data["groups"]),
            }
        )


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """The role that an instance profile gives, and its temporary credentials; times in ISO 8601, UTC."""

    name: str
    profile_arn: str
    profile_id: str
    access_key_id: str
    secret_access_key: str
    token: str
    last_updated: str
    expiration: str


@dataclass(frozen=True, slots=True)
class MetadataOptions:
    """Amazon EC2 API Reference, InstanceMetadataOptionsRequest. `hop_limit` is 1 to 64."""

    is_enabled: bool = True
    requires_token: bool = False
    hop_limit: int = 1
    shows_tags: bool = False


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """Everything that the metadata service tells one instance. The first interface is the primary one.

    `hostname` is the full private name; `user_data` is what the instance gets, already decoded; `pending_time` in ISO
    8601, UTC; `keys` are pairs (name, public key).
    """

    instance_id: str
    instance_type: str
    image_id: str
    region: str
    zone: str
    zone_id: str
    account: str
    hostname: str
    interfaces: tuple[InterfaceFacts, ...]
    user_data: bytes | None = None
    tags: tuple[tuple[str, str], ...] = ()
    role: RoleFacts | None = None
    options: MetadataOptions = MetadataOptions()
    public_hostname: str = ""
    reservation_id: str = "r-00000000000000000"
    launch_index: int = 0
    pending_time: str = "1970-01-01T00:00:00Z"
    architecture: str = "x86_64"
    keys: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        data = asdict(self)
        data["user_data"] = None if self.user_data is None else base64.b64encode(self.user_data).decode()
        return json.dumps(data)

    @classmethod
    def from_json(cls, text: str) -> InstanceFacts:
        """Raises ValueError, KeyError or TypeError when the text is not one of `to_json`."""
        data = json.loads(text)
        return cls(
            **{
                **data,
                "interfaces": tuple(InterfaceFacts.of(interface) for interface in data["interfaces"]),
                "user_data": None if data["user_data"] is None else base64.b64decode(data["user_data"]),
                "tags": _pairs(data["tags"]),
                "role": RoleFacts(**data["role"]) if data["role"] else None,
                "options": MetadataOptions(**data["options"]),
                "keys": _pairs(data["keys"]),
            }
        )


@dataclass(frozen=True, slots=True)
class HostedZone:
    """A private hosted zone: the service name of an interface endpoint with private DNS, for one.

    `addresses` are pairs (full name, IPv4 addresses); a name may start with `*.`. Whatever else is below `apex` does
    not exist (Amazon Route 53 Developer Guide, Considerations when working with a private hosted zone).
    """

    apex: str
    addresses: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where questions about the rest of the world go: an address, as it is reached from a network namespace."""

    netns: str
    address: str
    port: int = 53


@dataclass(frozen=True, slots=True)
class ZoneFacts:
    """What the resolver of one VPC knows. The first of `cidrs` is the primary one.

    `addresses` are the private ones that instances have; `public` are pairs (public, private) whose public names
    resolve to the private address inside the VPC, those of peers that allow it included.
    """

    vpc_id: str
    region: str
    cidrs: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    public: tuple[tuple[str, str], ...] = ()
    hosted: tuple[HostedZone, ...] = ()
    upstream: Upstream | None = None
    dns_support: bool = True
    dns_hostnames: bool = True

    @property
    def resolver(self) -> str:
        """Base plus two of the primary range (Amazon VPC User Guide, Understanding Amazon DNS)."""
        return str(IPv4Network(self.cidrs[0]).network_address + 2)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ZoneFacts:
        """Raises ValueError, KeyError or TypeError when the text is not one of `to_json`."""
        data = json.loads(text)
        hosted = tuple(
            HostedZone(zone["apex"], tuple((name, tuple(found)) for name, found in zone["addresses"]))
            for zone in data["hosted"]
        )
        return cls(
            **{
                **data,
                "cidrs": tuple(data["cidrs"]),
                "addresses": tuple(data["addresses"]),
                "public": _pairs(data["public"]),
                "hosted": hosted,
                "upstream": Upstream(**data["upstream"]) if data["upstream"] else None,
            }
        )


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """What DHCP tells an instance (Amazon VPC User Guide, DHCP option sets). Stands for the protocol: see boot.

    `name_servers` has addresses only: AmazonProvidedDNS is the resolver's already. `mtu` in bytes.
    """

    address: str
    prefix_length: int
    router: str
    name_servers: tuple[str, ...]
    domain_name: str
    ntp_servers: tuple[str, ...] = ("169.254.169.123",)
    mtu: int = 9001

    def __post_init__(self) -> None:
        for text in (self.address, self.router, *self.name_servers):
            IPv4Address(text)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class WorldFacts:
    """What the resolver of the outside world knows: pairs (name, IPv4 address), and where it listens.

    A name may start with `*.`, for any first label. Nothing else exists.
    """

    netns: str
    address: str
    names: tuple[tuple[str, str], ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WorldFacts:
        """Raises ValueError, KeyError or TypeError when the text is not one of `to_json`."""
        data = json.loads(text)
        return cls(**{**data, "names": _pairs(data["names"])})


def _pairs(data: Any) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, second in data)
