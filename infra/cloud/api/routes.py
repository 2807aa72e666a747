"""Route tables and their routes; what tables are associated with is in route_associations.py.

moto takes targets of other networks and deletes local routes. Sources: "Amazon VPC User Guide, Route tables", and the
actions' pages of the Amazon EC2 API Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.describing import Described, describe
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.lookups import all_subnets, instance, interface, internet_gateway, table, vpc
from kip_conformance.infra.cloud.api.shapes import routes as shapes
from moto.ec2.models.route_tables import Route

__all__ = ["add_route", "drop_route", "networks_of_gateway"]

TARGETS = ("GatewayId", "InstanceId", "NatGatewayId", "NetworkInterfaceId", "VpcPeeringConnectionId")
INSIDE = ("InstanceId", "NetworkInterfaceId", "NatGatewayId")
"""What a route more specific than the VPC's own may lead to."""

describe(
    "DescribeRouteTables",
    Described(
        "RouteTables", "RouteTableIds", "RouteTableId", "rtb",
        lambda call: [shapes.table(call.backend, one) for one in call.backend.route_tables.values()],
        {
            "association.gateway-id": "Associations.GatewayId",
            "association.main": "Associations.Main",
            "association.route-table-association-id": "Associations.RouteTableAssociationId",
            "association.route-table-id": "Associations.RouteTableId",
            "association.subnet-id": "Associations.SubnetId",
            "owner-id": "OwnerId",
            "route-table-id": "RouteTableId",
            "route.destination-cidr-block": "Routes.DestinationCidrBlock",
            "route.destination-prefix-list-id": "Routes.DestinationPrefixListId",
            "route.gateway-id": "Routes.GatewayId",
            "route.instance-id": "Routes.InstanceId",
            "route.nat-gateway-id": "Routes.NatGatewayId",
            "route.origin": "Routes.Origin",
            "route.state": "Routes.State",
            "route.vpc-peering-connection-id": "Routes.VpcPeeringConnectionId",
            "vpc-id": "VpcId",
        },
    ),
)  # fmt: skip


def add_route(
    backend: Any, found: Any, target: tuple[str, str], *, cidr: str | None = None, prefix_list: Any = None
) -> None:
    """Put a route into a table in place of one of the same destination."""
    made = Route(found, cidr, None, prefix_list)
    made.kip_target = target
    found._routes[made.id] = made


def drop_route(found: Any, *, cidr: str | None = None, prefix_list_id: str | None = None) -> Any:
    """Take the route of a destination out of a table; None when there is none."""
    for route_id, one in found._routes.items():
        listed = one.destination_prefix_list.id if one.destination_prefix_list else None
        if (cidr and one.destination_cidr_block == cidr) or (prefix_list_id and listed == prefix_list_id):
            return found._routes.pop(route_id)
    return None


@action("CreateRouteTable")
def create_table(call: Call) -> Mapping[str, Any]:
    vpc(call.backend, call.text("VpcId"))
    found = call.backend.create_route_table(call.text("VpcId"))
    if tags := call.tags("route-table"):
        call.backend.create_tags([found.id], tags)
    return {"RouteTable": shapes.table(call.backend, found)}


@action("DeleteRouteTable")
def delete_table(call: Call) -> Mapping[str, Any]:
    found = table(call.backend, call.text("RouteTableId"))
    if found.main_association_id or found._associations:
        raise Refusal("DependencyViolation", f"The routeTable '{found.id}' has dependencies and cannot be deleted.")
    call.backend.route_tables.pop(found.id)
    call.backend.tags.pop(found.id, None)
    return {}


def _shown(destination: Mapping[str, Any]) -> str:
    """The range, or the prefix list's id."""
    shown: str = destination.get("cidr") or destination["prefix_list"].id
    return shown


def _destination(call: Call) -> dict[str, Any]:
    """The one destination of a call: a range in its canonical form, or a prefix list."""
    cidr, listed = call.params.get("DestinationCidrBlock"), call.params.get("DestinationPrefixListId")
    if call.params.get("DestinationIpv6CidrBlock"):
        raise Refusal("UnsupportedOperation", "IPv6 is not simulated")
    if bool(cidr) == bool(listed):
        raise Refusal("MissingParameter", "The request must contain one destination")
    if listed:
        if listed not in call.backend.managed_prefix_lists:
            raise unknown("pl", listed)
        return {"prefix_list": call.backend.managed_prefix_lists[listed]}
    try:
        # "If you specify 100.68.0.18/18, we modify it to 100.68.0.0/18" (CreateRoute).
        return {"cidr": str(IPv4Network(cidr, strict=False))}
    except ValueError as error:
        raise Refusal(
            "InvalidParameterValue",
            f"Value ({cidr}) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.",
        ) from error


def _target(call: Call, found: Any, destination: Mapping[str, Any]) -> tuple[str, str]:
    """The one target of a call, which must exist and be of the table's network."""
    given = [(name, call.params[name]) for name in TARGETS if call.params.get(name)]
    if not given:
        raise Refusal("MissingParameter", "The request must contain a target of the route")
    if len(given) > 1:
        raise Refusal("InvalidParameterCombination", "A route has one target")
    member, target = given[0]
    networks = _networks_of(call.backend, member, target)
    if found.vpc_id not in networks:
        raise Refusal(
            "InvalidParameterValue", f"route table {found.id} and target {target} belong to different networks"
        )
    if cidr := destination.get("cidr"):
        wanted = IPv4Network(cidr)
        own = [IPv4Network(one["cidr_block"]) for one in vpc(call.backend, found.vpc_id).cidr_block_association_set]
        if any(wanted != one and wanted.subnet_of(one) for one in own):
            _check_inside(call.backend, found, cidr, member)
    return member, target


def _check_inside(backend: Any, found: Any, cidr: str, member: str) -> None:
    """Raises Refusal unless a route more specific than the local one is as the guide says, Middlebox routing."""
    if member not in INSIDE:
        raise Refusal(
            "InvalidParameterValue",
            f"The destination CIDR block {cidr} is more specific than the route local of {found.vpc_id}; such a route "
            "leads to an instance, a network interface or a NAT gateway",
        )
    if cidr not in {one.cidr_block for one in all_subnets(backend) if one.vpc_id == found.vpc_id}:
        raise Refusal(
            "InvalidParameterValue",
            f"The destination CIDR block {cidr} is within the local route and must match a subnet's CIDR block",
        )


def _networks_of(backend: Any, member: str, target: str) -> set[str]:
    """The VPCs that a target is in. Raises Refusal when it does not exist."""
    if member == "InstanceId":
        machine = instance(backend, target)
        if len(machine.nics) > 1:
            raise Refusal("InvalidInstanceID", f"There are multiple interfaces attached to instance '{target}'.")
        return {machine.nics[0].subnet.vpc_id} if machine.nics else set()
    if member == "NetworkInterfaceId":
        return {interface(backend, target).subnet.vpc_id}
    if member == "NatGatewayId":
        if (gateway := backend.nat_gateways.get(target)) is None or gateway.state == "deleted":
            raise unknown("nat", target)
        return {gateway.vpc_id}
    if member == "VpcPeeringConnectionId":
        if (peering := backend.vpc_pcxs.get(target)) is None:
            raise unknown("pcx", target)
        return {peering.vpc.id, peering.peer_vpc.id}
    return networks_of_gateway(backend, target)


def networks_of_gateway(backend: Any, target: str) -> set[str]:
    if target.startswith("igw-"):
        gateway = internet_gateway(backend, target)
        return {gateway.vpc.id} if gateway.vpc is not None else set()
    if target.startswith("vgw-"):
        if (vgw := backend.vpn_gateways.get(target)) is None or vgw.state == "deleted":
            raise unknown("vgw", target)
        return {key for key, attachment in vgw.attachments.items() if attachment.state == "attached"}
    if target.startswith("vpce-"):
        raise Refusal("RouteNotSupported", f"Routes to {target} are made by associating route tables with it")
    raise Refusal("InvalidGatewayID.NotFound", f"The gateway ID '{target}' does not exist")


def _existing(found: Any, destination: Mapping[str, Any]) -> Any:
    for one in found._routes.values():
        if "cidr" in destination and one.destination_cidr_block == destination["cidr"]:
            return one
        if "prefix_list" in destination and one.destination_prefix_list is destination["prefix_list"]:
            return one
    return None


@action("CreateRoute")
def create(call: Call) -> Mapping[str, Any]:
    found = table(call.backend, call.text("RouteTableId"))
    destination = _destination(call)
    target = _target(call, found, destination)
    if _existing(found, destination) is not None:
        raise Refusal("RouteAlreadyExists", f"The route identified by {_shown(destination)} already exists.")
    add_route(call.backend, found, target, **destination)
    return {"Return": True}


@action("ReplaceRoute")
def replace(call: Call) -> Mapping[str, Any]:
    found = table(call.backend, call.text("RouteTableId"))
    destination = _destination(call)
    existing = _existing(found, destination)
    if existing is None:
        raise Refusal(
            "InvalidParameterValue",
            f"There is no route defined for '{_shown(destination)}' in the route table. Use CreateRoute instead.",
        )
    if existing.local or call.params.get("LocalTarget"):
        raise Refusal("UnsupportedOperation", "Another target for a local route is not simulated")
    existing.kip_target = _target(call, found, destination)
    return {}


@action("DeleteRoute")
def delete(call: Call) -> Mapping[str, Any]:
    found = table(call.backend, call.text("RouteTableId"))
    destination = _destination(call)
    existing = _existing(found, destination)
    if existing is None:
        raise Refusal(
            "InvalidRoute.NotFound",
            f"no route with destination-cidr-block {_shown(destination)} in route table {found.id}",
        )
    if existing.local:
        raise Refusal("InvalidParameterValue", f"cannot remove local route {destination['cidr']} in {found.id}")
    if existing.kip_target[1].startswith("vpce-"):
        raise Refusal("InvalidParameterValue", f"cannot remove VPC endpoint route of {existing.kip_target[1]}")
    found._routes.pop(existing.id)
    return {}
