"""The ways out of a subnet, by the cloud's API: which there are, and a subnet without them for a while.

Sources: Amazon VPC User Guide, "Route tables", "NAT gateways"; AWS PrivateLink Guide, "Gateway endpoints".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kip_conformance.infra.workloads.cells import SubnetView, route_table

__all__ = ["WaysOut"]

_GATEWAYS = ("GatewayId", "NatGatewayId")


class WaysOut:
    """Of any subnet, by a boto3 client of EC2. Every method raises botocore's errors when the API refuses.

    What a block takes away is away for all subnets with the same route table: a row that does it must run alone.
    """

    def __init__(self, ec2: Any) -> None:
        self._ec2 = ec2

    def nat_addresses(self, subnet: SubnetView) -> tuple[str, ...]:
        """The public addresses of the NAT gateway that the subnet's default route leads to; none without one."""
        gateways = [
            route["NatGatewayId"]
            for route in route_table(self._ec2, subnet.id, subnet.vpc)["Routes"]
            if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("NatGatewayId")
        ]
        if not gateways:
            return ()
        found = self._ec2.describe_nat_gateways(NatGatewayIds=gateways)["NatGateways"]
        return tuple(one["PublicIp"] for gateway in found for one in gateway["NatGatewayAddresses"])

    @contextmanager
    def without_gateways(self, subnet: SubnetView) -> Iterator[None]:
        """No route of the subnet leads to an internet or a NAT gateway for the length of the block."""
        table = route_table(self._ec2, subnet.id, subnet.vpc)
        taken: list[dict[str, str]] = []
        try:
            for route in table["Routes"]:
                if target := _gateway(route):
                    where = {"DestinationCidrBlock": route["DestinationCidrBlock"]}
                    self._ec2.delete_route(RouteTableId=table["RouteTableId"], **where)
                    taken.append({**where, **target})
            yield
        finally:
            for each in taken:
                self._ec2.create_route(RouteTableId=table["RouteTableId"], **each)

    @contextmanager
    def without_endpoint(self, subnet: SubnetView, service: str) -> Iterator[None]:
        """The subnet's route table has no route to a gateway endpoint of this service (`s3`) for the block."""
        table = route_table(self._ec2, subnet.id, subnet.vpc)["RouteTableId"]
        taken: list[str] = []
        try:
            for endpoint in self._endpoints(subnet.vpc, "Gateway"):
                if endpoint["ServiceName"].endswith(f".{service}") and table in endpoint["RouteTableIds"]:
                    identifier = endpoint["VpcEndpointId"]
                    self._ec2.modify_vpc_endpoint(VpcEndpointId=identifier, RemoveRouteTableIds=[table])
                    taken.append(identifier)
            yield
        finally:
            for each in taken:
                self._ec2.modify_vpc_endpoint(VpcEndpointId=each, AddRouteTableIds=[table])

    @contextmanager
    def closed_endpoints(self, subnet: SubnetView, service: str) -> Iterator[None]:
        """No group of the VPC's interface endpoints of a service (`ecr`: all its parts) lets anybody in meanwhile."""
        groups = {
            group["GroupId"]
            for one in self._endpoints(subnet.vpc, "Interface")
            if f".{service}." in f"{one['ServiceName']}."
            for group in one["Groups"]
        }
        taken: list[tuple[str, Any]] = []
        try:
            for group in sorted(groups):
                found = self._ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
                if found:
                    self._ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=found)
                    taken.append((group, found))
            yield
        finally:
            for group, permissions in taken:
                self._ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)

    def _endpoints(self, vpc: str, kind: str) -> list[dict[str, Any]]:
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "vpc-endpoint-type", "Values": [kind]}]
        found: list[dict[str, Any]] = self._ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
        return found


def _gateway(route: dict[str, Any]) -> dict[str, str]:
    """The internet or NAT gateway that a route leads to, as CreateRoute takes it; nothing for any other route."""
    if "DestinationCidrBlock" not in route:
        return {}
    target = {key: str(route[key]) for key in _GATEWAYS if route.get(key)}
    return {key: one for key, one in target.items() if one.startswith(("igw-", "nat-"))}
