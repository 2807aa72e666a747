"""The lab's VPC, made by calls to the cloud's API: subnets, routes, a group, and an instance for each machine.

What leads out of it besides the internet gateway: ways_out.py (NAT, endpoints) and interconnect.py (peer, VPN).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.cloud.network import NAME_TAG
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.attempts import Attempts
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, SUBNETS, LabPlan, NodePlan, SubnetPlan

__all__ = ["LabVpc", "make_vpc", "named", "wait_running"]

_TYPE, _IMAGE = "m5.large", "ami-0d00000000000debd"


@dataclass(frozen=True, slots=True)
class LabVpc:
    """Ids of what make_vpc made: subnets and route tables by the plan's names, instances by machine."""

    vpc: str
    subnets: Mapping[str, str]
    tables: Mapping[str, str]
    group: str
    instances: Mapping[str, str]


def make_vpc(ec2: Any, plan: LabPlan) -> LabVpc:
    """The VPC with its subnets, an internet gateway, and the nodes' instances, which are pending.

    Raises botocore's ClientError when the API refuses a call.
    """
    region = ec2.meta.region_name
    vpc = ec2.create_vpc(CidrBlock=plan.vpc, TagSpecifications=named("vpc", "main"))["Vpc"]["VpcId"]
    ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=plan.secondary)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    tables = {
        name: ec2.create_route_table(VpcId=vpc, TagSpecifications=named("route-table", name))["RouteTable"][
            "RouteTableId"
        ]
        for name in dict.fromkeys(subnet.table for subnet in SUBNETS)
    }
    ids = {subnet.name: _subnet(ec2, vpc, subnet, region, tables[subnet.table]) for subnet in SUBNETS}
    ec2.create_route(RouteTableId=tables["public"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    group = ec2.create_security_group(VpcId=vpc, GroupName="nodes", Description="what nodes let in")["GroupId"]
    near = (plan.vpc, plan.secondary, plan.peer, plan.pods, plan.on_prem, plan.on_prem_pods)
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": cidr} for cidr in near]}]
    )
    instances = {node.name: _instance(ec2, node, ids[node.subnet], group) for node in (CONTROL_PLANE, *NODES)}
    for node in NODES:
        for table in tables.values():
            ec2.create_route(RouteTableId=table, DestinationCidrBlock=node.pod_cidr, InstanceId=instances[node.name])
    return LabVpc(vpc, ids, tables, group, instances)


def wait_running(control: Control, ec2: Any, instances: Mapping[str, str], *, within: float) -> None:
    """Until every instance, by machine, runs. Raises HarnessError for one that does not, or failed, with its reason."""
    attempts = Attempts(within=within)
    while True:
        control.check_daemons()
        found = ec2.describe_instances(InstanceIds=list(instances.values()))["Reservations"]
        states = {one["InstanceId"]: one for group in found for one in group["Instances"]}
        waiting = [name for name, one in instances.items() if states[one]["State"]["Name"] == "pending"]
        for name, one in instances.items():
            if states[one]["State"]["Name"] not in ("pending", "running"):
                why = states[one].get("StateReason", {}).get("Message", "no reason is known")
                raise HarnessError(f"{name}: instance {one} is {states[one]['State']['Name']}: {why}")
        if not waiting:
            return
        if attempts.over():
            raise HarnessError(f"{', '.join(waiting)}: still pending after {within:g} s")
        attempts.pause()


def _subnet(ec2: Any, vpc: str, subnet: SubnetPlan, region: str, table: str) -> str:
    made = ec2.create_subnet(
        VpcId=vpc,
        CidrBlock=subnet.cidr,
        AvailabilityZone=f"{region}{subnet.zone}",
        TagSpecifications=named("subnet", subnet.name),
    )
    identifier: str = made["Subnet"]["SubnetId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=identifier)
    return identifier


def _instance(ec2: Any, node: NodePlan, subnet: str, group: str) -> str:
    """Nodes carry their pods' packets: the source/destination check is off, as the cloud asks of routers."""
    made = ec2.run_instances(
        ImageId=_IMAGE,
        InstanceType=_TYPE,
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": subnet,
                "PrivateIpAddress": node.address,
                "Groups": [group],
                "AssociatePublicIpAddress": node.has_public_address,
            }
        ],
        TagSpecifications=named("instance", node.name),
    )
    identifier: str = made["Instances"][0]["InstanceId"]
    ec2.modify_instance_attribute(InstanceId=identifier, SourceDestCheck={"Value": False})
    return identifier


def named(kind: str, name: str) -> list[dict[str, Any]]:
    """The tags of a new thing: its Name for people, and what the lab calls it."""
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}, {"Key": NAME_TAG, "Value": name}]}]
