"""The cloud's routes to pods of nodes, and where they should lead. Nothing is changed here.

Sources: Amazon EC2 API Reference, DescribeRouteTables; Amazon VPC User Guide, Route tables (the most specific route
decides; a subnet without an association of its own is under the VPC's main table), Change the source or destination
checking.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from kip_conformance.infra.workloads.cells import route_table
from kip_conformance.infra.workloads.reading import NodeView

__all__ = ["CloudRoutes", "RoutedNode"]


@dataclass(frozen=True, slots=True)
class RoutedNode:
    """A node that is an instance of the cloud. `is_checked`: its interface takes only what is addressed to itself."""

    name: str
    pod_cidrs: tuple[str, ...]
    instance: str
    interface: str
    subnet: str
    is_checked: bool


class CloudRoutes:
    """Reads one region by a boto3 client of EC2. Every method raises botocore's errors when the API refuses."""

    def __init__(self, ec2: Any) -> None:
        self._ec2 = ec2

    def nodes(self, known: Iterable[NodeView]) -> tuple[RoutedNode, ...]:
        """Those of these nodes that have an instance; one on premises has none."""
        by_address = {node.internal_ip: node for node in known if node.internal_ip}
        filters = [{"Name": "addresses.private-ip-address", "Values": sorted(by_address)}]
        found = self._ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        return tuple(
            RoutedNode(
                node.name,
                node.pod_cidrs,
                one["Attachment"]["InstanceId"],
                one["NetworkInterfaceId"],
                one["SubnetId"],
                one["SourceDestCheck"],
            )
            for one in found
            for entry in one["PrivateIpAddresses"]
            if (node := by_address.get(entry["PrivateIpAddress"])) and "InstanceId" in one.get("Attachment", {})
        )

    def wrong(self, nodes: Sequence[RoutedNode], subnets: Iterable[str]) -> tuple[str, ...]:
        """What is wrong with the ways from these subnets and the nodes' own to the nodes' pods, in words.

        Subnets are ids. Nothing when all lead there.
        """
        wrong = [f"{node.name}: its interface checks source and destination" for node in nodes if node.is_checked]
        wrong += [f"{node.name}: the node has no pod CIDR" for node in nodes if not node.pod_cidrs]
        for subnet in sorted({*subnets, *(node.subnet for node in nodes)}):
            found = self._ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]
            table = route_table(self._ec2, subnet, found["VpcId"])
            routes = [route for route in table["Routes"] if "DestinationCidrBlock" in route]
            where = f"{subnet} ({found['CidrBlock']})"
            wrong += [
                f"{where}: {why}" for node in nodes for cidr in node.pod_cidrs for why in _astray(node, cidr, routes)
            ]
        return tuple(wrong)

    def to_instance(self, instance: str) -> tuple[str, ...]:
        """The destinations of all routes that lead to an instance or to an interface of it."""
        filters = [{"Name": "attachment.instance-id", "Values": [instance]}]
        found = self._ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        own = {instance, *(one["NetworkInterfaceId"] for one in found)}
        return tuple(
            route.get("DestinationCidrBlock", "another kind of destination")
            for table in self._ec2.describe_route_tables()["RouteTables"]
            for route in table["Routes"]
            if {route.get("InstanceId"), route.get("NetworkInterfaceId")} & own
        )


def _astray(node: RoutedNode, cidr: str, routes: Sequence[dict[str, Any]]) -> list[str]:
    """What keeps packets to `cidr` from the node: the most specific route to all of it, and every one to a part."""
    wanted = IPv4Network(cidr)
    around = [one for one in routes if wanted.subnet_of(IPv4Network(one["DestinationCidrBlock"]))]
    within = [one for one in routes if IPv4Network(one["DestinationCidrBlock"]).subnet_of(wanted)]
    best = max(around, key=lambda one: IPv4Network(one["DestinationCidrBlock"]).prefixlen, default=None)
    if best is None:
        return [f"no route to {cidr}, the pods of {node.name}"]
    return [
        f"{one['DestinationCidrBlock']} leads to {_target(one)}, not to {node.name}"
        for one in (best, *(part for part in within if part is not best))
        if one["State"] != "active" or not {one.get("InstanceId"), one.get("NetworkInterfaceId")} & _own(node)
    ]


def _own(node: RoutedNode) -> set[str]:
    return {node.instance, node.interface}


def _target(route: dict[str, Any]) -> str:
    keys = ("GatewayId", "InstanceId", "NetworkInterfaceId", "NatGatewayId", "VpcPeeringConnectionId")
    where = next((str(route[key]) for key in keys if route.get(key)), "somewhere else")
    return where if route["State"] == "active" else f"{where} ({route['State']})"
