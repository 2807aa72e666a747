"""The ways out of the lab's private subnets: a NAT gateway, a gateway endpoint of S3, interface endpoints of ECR."""

from __future__ import annotations

from typing import Any

from kip_conformance.infra.lab.plan import LabPlan
from kip_conformance.infra.lab.vpc import LabVpc, named

__all__ = ["ENDPOINT_SERVICES", "make_ways_out", "switch_nat"]

ENDPOINT_SERVICES = ("ecr.api", "ecr.dkr")
"""Services with an interface endpoint in private-a: with S3's, all that a pull from ECR needs (Amazon ECR User Guide,
"Amazon ECR interface VPC endpoints")."""
_ANYWHERE = "0.0.0.0/0"


def make_ways_out(ec2: Any, plan: LabPlan, made: LabVpc) -> str:
    """Make them for private-a, with the route to the NAT gateway; returns the gateway's id."""
    region = ec2.meta.region_name
    # Private DNS of an endpoint asks for both (AWS PrivateLink Guide, "Access an AWS service").
    ec2.modify_vpc_attribute(VpcId=made.vpc, EnableDnsHostnames={"Value": True})
    ec2.create_vpc_endpoint(
        VpcId=made.vpc,
        ServiceName=f"com.amazonaws.{region}.s3",
        # In the public subnets, too: a cell without a public address fetches its agent from S3.
        RouteTableIds=[made.tables["private-a"], made.tables["public"]],
        TagSpecifications=named("vpc-endpoint", "s3"),
    )
    group = ec2.create_security_group(VpcId=made.vpc, GroupName="endpoints", Description="who may use endpoints")
    ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"],
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "IpRanges": [{"CidrIp": cidr} for cidr in (plan.vpc, plan.secondary)],
            }
        ],
    )
    for service in ENDPOINT_SERVICES:
        ec2.create_vpc_endpoint(
            VpcId=made.vpc,
            VpcEndpointType="Interface",
            ServiceName=f"com.amazonaws.{region}.{service}",
            SubnetIds=[made.subnets["private-a"]],
            SecurityGroupIds=[group["GroupId"]],
            PrivateDnsEnabled=True,
            TagSpecifications=named("vpc-endpoint", service),
        )
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=named("elastic-ip", "nat"))["AllocationId"]
    nat = ec2.create_nat_gateway(
        SubnetId=made.subnets["public-a"], AllocationId=address, TagSpecifications=named("natgateway", "nat")
    )
    gateway: str = nat["NatGateway"]["NatGatewayId"]
    ec2.create_route(RouteTableId=made.tables["private-a"], DestinationCidrBlock=_ANYWHERE, NatGatewayId=gateway)
    return gateway


def switch_nat(ec2: Any, *, on: bool) -> None:
    """Give private-a its route to the NAT gateway, or take it away; nothing happens when it is so already.

    Found by their names' tags, so that any client of a lab's API can do it. Raises ClientError.
    """
    table = _called(ec2.describe_route_tables, "RouteTables", "private-a")
    has_route = any(route.get("DestinationCidrBlock") == _ANYWHERE for route in table["Routes"])
    if on and not has_route:
        gateway = _called(ec2.describe_nat_gateways, "NatGateways", "nat")["NatGatewayId"]
        ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock=_ANYWHERE, NatGatewayId=gateway)
    elif has_route and not on:
        ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock=_ANYWHERE)


def _called(describe: Any, key: str, name: str) -> Any:
    return describe(Filters=[{"Name": "tag:Name", "Values": [name]}])[key][0]
