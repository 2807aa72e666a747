"""The ways out of the lab's private subnets: a NAT gateway, a gateway endpoint of S3, interface endpoints.

Those of ECR are for pulls, that of EC2 for a provider on a private node: it goes on when there is no gateway; and for
one on premises, which has no other way to the API.
"""

from __future__ import annotations

from typing import Any

from kip_conformance.infra.lab.plan import LabPlan
from kip_conformance.infra.lab.vpc import LabVpc, named

__all__ = ["ENDPOINT_SERVICES", "make_ways_out", "switch_nat"]

ENDPOINT_SERVICES = {"ecr.api": "endpoints", "ecr.dkr": "endpoints", "ec2": "api-endpoint"}
"""Services with an interface endpoint in private-a, and the names of their groups. With S3's, those of ECR are all that
a pull needs (Amazon ECR User Guide, "Amazon ECR interface VPC endpoints")."""
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
    groups = {name: _group(ec2, plan, made.vpc, name) for name in dict.fromkeys(ENDPOINT_SERVICES.values())}
    for service, group in ENDPOINT_SERVICES.items():
        ec2.create_vpc_endpoint(
            VpcId=made.vpc,
            VpcEndpointType="Interface",
            ServiceName=f"com.amazonaws.{region}.{service}",
            SubnetIds=[made.subnets["private-a"]],
            SecurityGroupIds=[groups[group]],
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


def _group(ec2: Any, plan: LabPlan, vpc: str, name: str) -> str:
    made: str = ec2.create_security_group(VpcId=vpc, GroupName=name, Description="who may use endpoints")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=made,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "IpRanges": [{"CidrIp": cidr} for cidr in (plan.vpc, plan.secondary, plan.on_prem)],
            }
        ],
    )
    return made


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
