"""The lab's VPC, made by calls to the cloud's API: subnets, routes, a group, and an instance for each machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kip_conformance.infra.cloud.network import NAME_TAG
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.attempts import Attempts
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, LabPlan, NodePlan

__all__ = ["make_vpc", "wait_running"]

_TYPE, _IMAGE = "m5.large", "ami-0d00000000000debd"


def make_vpc(ec2: Any, plan: LabPlan) -> dict[str, str]:
    """One VPC with two subnets, an internet gateway, and the nodes' instances; returns their ids by machine.

    The instances are pending. Raises botocore's ClientError when the API refuses a call.
    """
    vpc = ec2.create_vpc(CidrBlock=plan.vpc, TagSpecifications=_named("vpc", "main"))["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnets = {"public-a": plan.public_a, "private-a": plan.private_a}
    tables: dict[str, str] = {}
    ids: dict[str, str] = {}
    for name, cidr in subnets.items():
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, TagSpecifications=_named("subnet", name))
        ids[name] = made["Subnet"]["SubnetId"]
        made = ec2.create_route_table(VpcId=vpc, TagSpecifications=_named("route-table", name))
        tables[name] = made["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=tables[name], SubnetId=ids[name])
    ec2.create_route(RouteTableId=tables["public-a"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    group = ec2.create_security_group(VpcId=vpc, GroupName="nodes", Description="what nodes let in")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": plan.vpc}, {"CidrIp": plan.pods}]}],
    )
    instances = {node.name: _instance(ec2, node, ids[node.subnet], group) for node in (CONTROL_PLANE, *NODES)}
    for node in NODES:
        for table in tables.values():
            ec2.create_route(RouteTableId=table, DestinationCidrBlock=node.pod_cidr, InstanceId=instances[node.name])
    return instances


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


def _instance(ec2: Any, node: NodePlan, subnet: str, group: str) -> str:
    """Nodes carry their pods' packets: the source/destination check is off, as the cloud asks of routers."""
    made = ec2.run_instances(
        ImageId=_IMAGE,
        InstanceType=_TYPE,
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        PrivateIpAddress=node.address,
        SecurityGroupIds=[group],
        TagSpecifications=_named("instance", node.name),
    )
    identifier: str = made["Instances"][0]["InstanceId"]
    ec2.modify_instance_attribute(InstanceId=identifier, SourceDestCheck={"Value": False})
    return identifier


def _named(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}, {"Key": NAME_TAG, "Value": name}]}]
