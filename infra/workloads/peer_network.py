"""A VPC that is peered with the cluster's: where pods can be put there, and routes that are added for a while.

Sources: Amazon VPC Peering Guide (routes of one's own on both sides; peering is not transitive); Amazon EC2 API
Reference, DescribeVpcPeeringConnections, CreateRoute.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.errors import HarnessError

__all__ = ["PeerNetwork", "find_peer"]


@dataclass(frozen=True, slots=True)
class PeerNetwork:
    """`cidr` is its range, `subnet` one of its subnets, `others` the ranges of the VPC that it is peered with."""

    ec2: Any
    vpc: str
    cidr: str
    subnet: str
    peering: str
    others: tuple[str, ...]

    @contextlib.contextmanager
    def routed(self, cidr: str) -> Iterator[None]:
        """Its subnet's route table sends packets for `cidr` into the peering, for the length of the block."""
        filters = [{"Name": "association.subnet-id", "Values": [self.subnet]}]
        table = self.ec2.describe_route_tables(Filters=filters)["RouteTables"][0]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock=cidr, VpcPeeringConnectionId=self.peering)
        try:
            yield
        finally:
            self.ec2.delete_route(RouteTableId=table, DestinationCidrBlock=cidr)


def find_peer(ec2: Any, cidr: str) -> PeerNetwork:
    """The VPC with this range, by its active peering. Raises HarnessError when there is none, or no subnet in it."""
    for one in ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]:
        if one["Status"]["Code"] != "active":
            continue
        sides = {side["VpcId"]: _ranges(side) for side in (one["RequesterVpcInfo"], one["AccepterVpcInfo"])}
        for vpc, ranges in sides.items():
            if cidr not in ranges:
                continue
            subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
            if not subnets:
                raise HarnessError(f"the peered VPC {vpc} ({cidr}) has no subnet")
            others = tuple(each for other, theirs in sides.items() if other != vpc for each in theirs)
            return PeerNetwork(ec2, vpc, cidr, subnets[0]["SubnetId"], one["VpcPeeringConnectionId"], others)
    raise HarnessError(f"no VPC with the range {cidr} is peered with another one")


def _ranges(side: dict[str, Any]) -> tuple[str, ...]:
    listed = tuple(one["CidrBlock"] for one in side.get("CidrBlockSet", ()))
    return tuple(dict.fromkeys((side["CidrBlock"], *listed)))
