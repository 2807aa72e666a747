"""Resources of moto's state by their ids; an id that nothing has is refused with the API's code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kip_conformance.infra.cloud.api.call import Refusal
from kip_conformance.infra.cloud.api.errors import unknown

__all__ = [
    "all_groups",
    "all_instances",
    "all_subnets",
    "group",
    "groups_for",
    "instance",
    "instances_of",
    "interface",
    "internet_gateway",
    "is_attached_to_internet",
    "subnet",
    "table",
    "vpc",
]


def all_instances(backend: Any) -> Iterator[Any]:
    """Every instance, the terminated ones that are still shown included, in the order of their launch."""
    for reservation in backend.reservations.values():
        yield from reservation.instances


def instance(backend: Any, instance_id: str) -> Any:
    """One instance. Raises Refusal (InvalidInstanceID.NotFound)."""
    return instances_of(backend, [instance_id])[0]


def instances_of(backend: Any, ids: Iterable[str]) -> list[Any]:
    """Instances in the order asked for. Raises Refusal (InvalidInstanceID.NotFound) naming those not found."""
    known = {one.id: one for one in all_instances(backend)}
    wanted = list(ids)
    if missing := [one for one in wanted if one not in known]:
        raise Refusal(
            "InvalidInstanceID.NotFound",
            f"The instance ID{'s' if len(missing) > 1 else ''} '{', '.join(missing)}' do"
            f"{'' if len(missing) > 1 else 'es'} not exist",
        )
    return [known[one] for one in wanted]


def interface(backend: Any, interface_id: str) -> Any:
    """One network interface. Raises Refusal (InvalidNetworkInterfaceID.NotFound)."""
    found = backend.enis.get(interface_id)
    if found is None:
        raise unknown("eni", interface_id)
    return found


def all_subnets(backend: Any) -> Iterator[Any]:
    """Every subnet."""
    for in_zone in backend.subnets.values():
        yield from in_zone.values()


def subnet(backend: Any, subnet_id: str) -> Any:
    """One subnet. Raises Refusal (InvalidSubnetID.NotFound)."""
    for in_zone in backend.subnets.values():
        if subnet_id in in_zone:
            return in_zone[subnet_id]
    raise unknown("subnet", subnet_id)


def vpc(backend: Any, vpc_id: str) -> Any:
    """One VPC. Raises Refusal (InvalidVpcID.NotFound)."""
    found = backend.vpcs.get(vpc_id)
    if found is None:
        raise unknown("vpc", vpc_id)
    return found


def table(backend: Any, table_id: str) -> Any:
    """One route table. Raises Refusal (InvalidRouteTableID.NotFound)."""
    found = backend.route_tables.get(table_id)
    if found is None:
        raise unknown("rtb", table_id)
    return found


def all_groups(backend: Any) -> Iterator[Any]:
    """Every security group."""
    for of_vpc in backend.groups.values():
        yield from of_vpc.values()


def group(backend: Any, group_id: str) -> Any:
    """One security group. Raises Refusal (InvalidGroup.NotFound)."""
    for of_vpc in backend.groups.values():
        if group_id in of_vpc:
            return of_vpc[group_id]
    raise Refusal("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


def groups_for(backend: Any, ids: Iterable[str], of_subnet: Any) -> list[Any]:
    """The groups of an interface in a subnet; without any, its VPC's default one.

    Raises Refusal: InvalidGroup.NotFound, InvalidParameter for another VPC's group (Amazon EC2 API Reference,
    RunInstances: groups and subnet of one VPC), SecurityGroupsPerInterfaceLimitExceeded above five.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return [one for one in backend.groups[of_subnet.vpc_id].values() if one.name == "default"]
    found = [group(backend, one) for one in wanted]
    for one in found:
        if one.vpc_id != of_subnet.vpc_id:
            raise Refusal(
                "InvalidParameter",
                f"Security group {one.id} and subnet {of_subnet.id} belong to different networks.",
            )
    if len(found) > 5:
        raise Refusal(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        )
    return found


def internet_gateway(backend: Any, gateway_id: str) -> Any:
    """One internet gateway. Raises Refusal (InvalidInternetGatewayID.NotFound)."""
    found = backend.internet_gateways.get(gateway_id)
    if found is None:
        raise unknown("igw", gateway_id)
    return found


def is_attached_to_internet(backend: Any, vpc_id: str) -> bool:
    """Whether the VPC has an internet gateway."""
    return any(one.vpc is not None and one.vpc.id == vpc_id for one in backend.internet_gateways.values())
