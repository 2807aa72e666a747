"""Where cells go: the VPC and subnet, whether that is public, and which two addresses a cell gets.

Source: Kip, docs/networking.md (Public and Private Subnets); Amazon VPC User Guide, Route tables: a subnet without an
association of its own is under the VPC's main table.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.provider.cloud import Cloud, CloudRefusal
from kip_conformance.infra.provider.config import Aws
from kip_conformance.infra.provider.surroundings import Surroundings

__all__ = ["AddressPicker", "Place", "effective_table", "find_place", "is_public"]

_RESERVED = 4
"""Addresses at the start of a subnet that nobody gets; the last one neither (Amazon VPC User Guide, Subnet CIDR
blocks)."""


@dataclass(frozen=True, slots=True)
class Place:
    """The subnet that new cells are in. `vpc_cidrs` are all ranges of its VPC."""

    vpc: str
    vpc_cidrs: tuple[str, ...]
    subnet: str
    subnet_cidr: str
    zone: str


async def find_place(cloud: Cloud, settings: Aws, own: Surroundings | None) -> Place:
    """By provider.yaml, else by the instance that the provider runs on.

    Raises UsageError when that does not name a subnet of the VPC, CloudRefusal when the API does not say.
    """
    subnet = settings.subnet_id or (own.subnet if own else "")
    if not subnet:
        raise UsageError("cloud.aws.subnetID is needed: this provider does not run on an instance of the cloud")
    try:
        (found,) = await cloud.all("describe_subnets", SubnetIds=[subnet])
    except CloudRefusal as error:
        if "InvalidSubnet" in error.code:
            raise UsageError(f"cloud.aws.subnetID: there is no subnet {subnet} in this region") from error
        raise
    vpc = found["VpcId"]
    wanted = settings.vpc_id if settings.vpc_id != "default" else ""
    if wanted and wanted != vpc:
        raise UsageError(f"cloud.aws.vpcID is {wanted}, and subnet {subnet} is in {vpc}")
    return Place(
        vpc,
        await vpc_ranges(cloud, vpc),
        subnet,
        found["CidrBlock"],
        found["AvailabilityZone"],
    )


async def vpc_ranges(cloud: Cloud, vpc: str) -> tuple[str, ...]:
    """All IPv4 ranges of the VPC, the primary one first."""
    (found,) = await cloud.all("describe_vpcs", VpcIds=[vpc])
    primary = found["CidrBlock"]
    others = [
        one["CidrBlock"]
        for one in found.get("CidrBlockAssociationSet", [])
        if one.get("CidrBlockState", {}).get("State") == "associated" and one["CidrBlock"] != primary
    ]
    return (primary, *others)


def effective_table(tables: Iterable[dict[str, Any]], subnet: str) -> dict[str, Any] | None:
    """Of a VPC's route tables the one that a subnet's packets meet: its own by association, else the main one."""
    main = None
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet:
                return table
            if association.get("Main"):
                main = table
    return main


def is_public(table: dict[str, Any] | None) -> bool:
    """Whether a route of the table leads to an internet gateway."""
    routes = (table or {}).get("Routes", [])
    return any(
        str(route.get("GatewayId", "")).startswith("igw-") and route.get("State", "active") == "active"
        for route in routes
    )


async def table_of(cloud: Cloud, place: Place) -> dict[str, Any] | None:
    """The route table in force for the subnet, as it is now."""
    tables = await cloud.all("describe_route_tables", Filters=[{"Name": "vpc-id", "Values": [place.vpc]}])
    return effective_table(tables, place.subnet)


@dataclass(slots=True)
class AddressPicker:
    """Chooses free addresses of a subnet, going round it, so that what was just given back is used last."""

    cidr: str
    _promised: set[str] = field(default_factory=set)
    _next: int = 0

    def take(self, count: int, used: Iterable[str]) -> tuple[str, ...] | None:
        """So many addresses that are neither used nor promised, now promised; None when there are fewer."""
        network = IPv4Network(self.cidr)
        first = int(network.network_address) + _RESERVED
        usable = int(network.broadcast_address) - first
        taken = {*used, *self._promised}
        order = (str(IPv4Address(first + (self._next + step) % usable)) for step in range(usable))
        found = tuple(itertools.islice((one for one in order if one not in taken), count))
        if len(found) < count:
            return None
        self._next = (int(IPv4Address(found[-1])) - first + 1) % usable
        self._promised.update(found)
        return found

    def release(self, addresses: Sequence[str]) -> None:
        """What was promised is in use by now, or will not be."""
        self._promised.difference_update(addresses)
