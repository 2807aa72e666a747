"""RouteTable and Route ("Amazon EC2 API Reference, Data Types, Route"): which targets are there, and which are gone.

A route whose target is gone is described as `blackhole`; in moto every route is active for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kip_conformance.infra.cloud.api.lookups import all_instances
from kip_conformance.infra.cloud.api.shapes.interfaces import tags

__all__ = ["is_there", "propagated", "route", "routes", "table"]


def table(backend: Any, found: Any) -> dict[str, Any]:
    """A route table with its associations, and all its routes, propagated ones included."""
    return {
        "Associations": _associations(found),
        "OwnerId": backend.account_id,
        "PropagatingVgws": [{"GatewayId": one} for one in getattr(found, "kip_propagating", [])],
        "RouteTableId": found.id,
        "Routes": routes(backend, found),
        "Tags": tags(backend, found.id),
        "VpcId": found.vpc_id,
    }


def routes(backend: Any, found: Any) -> list[dict[str, Any]]:
    """The routes of a table; a static one comes before a propagated one of the same destination."""
    static = [route(backend, found, one) for one in found._routes.values()]
    known = {one.get("DestinationCidrBlock") for one in static}
    for destination, gateway_id in propagated(backend, found):
        if destination not in known:
            known.add(destination)
            static.append(
                {
                    "DestinationCidrBlock": destination,
                    "GatewayId": gateway_id,
                    "Origin": "EnableVgwRoutePropagation",
                    "State": "active",
                }
            )
    return static


def route(backend: Any, found: Any, one: Any) -> dict[str, Any]:
    """One static route."""
    destination = (
        {"DestinationCidrBlock": one.destination_cidr_block}
        if one.destination_cidr_block
        else {"DestinationPrefixListId": one.destination_prefix_list.id}
        if one.destination_prefix_list
        else {"DestinationIpv6CidrBlock": one.destination_ipv6_cidr_block}
    )
    if one.local:
        return {**destination, "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}
    member, target = one.kip_target
    state = "active" if is_there(backend, found.vpc_id, target) else "blackhole"
    shape = {**destination, member: target, "Origin": "CreateRoute", "State": state}
    if member == "InstanceId" and state == "active":
        machine = next(one for one in all_instances(backend) if one.id == target)
        shape |= {"InstanceOwnerId": backend.account_id, "NetworkInterfaceId": machine.nics[0].id}
    if member == "NetworkInterfaceId" and (eni := backend.enis.get(target)) is not None and eni.instance is not None:
        shape |= {"InstanceId": eni.instance.id, "InstanceOwnerId": backend.account_id}
    return shape


def propagated(backend: Any, found: Any) -> Iterator[tuple[str, str]]:
    """Destination and gateway of the routes that virtual private gateways propagate into a table."""
    for gateway_id in getattr(found, "kip_propagating", []):
        if not is_there(backend, found.vpc_id, gateway_id):
            continue
        for connection in backend.vpn_connections.values():
            if connection.vpn_gateway_id == gateway_id and connection.state == "available":
                for destination in connection.kip_routes:
                    yield destination, gateway_id


def is_there(backend: Any, vpc_id: str, target: str) -> bool:
    """Whether what a route of this VPC leads to can take packets."""
    check = _CHECKS.get(target.partition("-")[0])
    return check is not None and check(backend, vpc_id, target)


def _is_internet_gateway_there(backend: Any, vpc_id: str, target: str) -> bool:
    gateway = backend.internet_gateways.get(target)
    return gateway is not None and gateway.vpc is not None and bool(gateway.vpc.id == vpc_id)


def _is_vpn_gateway_there(backend: Any, vpc_id: str, target: str) -> bool:
    gateway = backend.vpn_gateways.get(target)
    attachment = gateway.attachments.get(vpc_id) if gateway is not None else None
    return attachment is not None and bool(attachment.state == "attached")


def _is_instance_there(backend: Any, vpc_id: str, target: str) -> bool:
    return any(one.id == target and one.state in ("pending", "running") for one in all_instances(backend))


def _is_interface_there(backend: Any, vpc_id: str, target: str) -> bool:
    eni = backend.enis.get(target)
    return eni is not None and (eni.instance is not None or hasattr(eni, "kip_service"))


def _is_peering_there(backend: Any, vpc_id: str, target: str) -> bool:
    peering = backend.vpc_pcxs.get(target)
    return peering is not None and bool(peering._status.code == "active")


_CHECKS: dict[str, Callable[[Any, str, str], bool]] = {
    "igw": _is_internet_gateway_there,
    "vgw": _is_vpn_gateway_there,
    "nat": lambda backend, _, target: getattr(backend.nat_gateways.get(target), "state", "") == "available",
    "i": _is_instance_there,
    "eni": _is_interface_there,
    "pcx": _is_peering_there,
    "vpce": lambda backend, _, target: target in backend.vpc_end_points,
}


def _associations(found: Any) -> list[dict[str, Any]]:
    common = {"RouteTableId": found.id, "AssociationState": {"State": "associated"}}
    listed = []
    if found.main_association_id:
        listed.append({**common, "RouteTableAssociationId": found.main_association_id, "Main": True})
    for association_id, target in found._associations.items():
        member = "SubnetId" if target.startswith("subnet-") else "GatewayId"
        listed.append({**common, "RouteTableAssociationId": association_id, "Main": False, member: target})
    return listed
