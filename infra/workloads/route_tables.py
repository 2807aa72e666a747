"""Which route table is in force for a subnet, and others for a while, by the cloud's API.

Sources: Amazon VPC User Guide, "Route tables" (a subnet without a table of its own is under the VPC's main one); Amazon
EC2 API Reference, ReplaceRouteTableAssociation (by which another table becomes the main one, too).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kip_conformance.infra.workloads.cells import SubnetView, route_table

__all__ = ["RouteTables"]


class RouteTables:
    """Of any subnet, by a boto3 client of EC2. Every method raises botocore's errors when the API refuses.

    What is arranged holds for all subnets of the VPC that have no table of their own: a row that does it must run
    alone.
    """

    def __init__(self, ec2: Any) -> None:
        self._ec2 = ec2

    def of(self, subnet: SubnetView) -> str:
        """The id of the table in force."""
        found: str = route_table(self._ec2, subnet.id, subnet.vpc)["RouteTableId"]
        return found

    @contextmanager
    def arranged(self, subnet: SubnetView, *, main: str, own: str = "") -> Iterator[None]:
        """The VPC's main table is `main`, and the subnet's own is `own`, or none, for the length of the block."""
        _, main_before = self._main(subnet)
        _, own_before = self._own(subnet)
        try:
            self._arrange(subnet, main, own)
            yield
        finally:
            self._arrange(subnet, main_before, own_before)

    def _arrange(self, subnet: SubnetView, main: str, own: str) -> None:
        association, now = self._main(subnet)
        if now != main:
            self._ec2.replace_route_table_association(AssociationId=association, RouteTableId=main)
        association, now = self._own(subnet)
        if now == own:
            return
        if association and own:
            self._ec2.replace_route_table_association(AssociationId=association, RouteTableId=own)
        elif association:
            self._ec2.disassociate_route_table(AssociationId=association)
        else:
            self._ec2.associate_route_table(RouteTableId=own, SubnetId=subnet.id)

    def _main(self, subnet: SubnetView) -> tuple[str, str]:
        return self._association(subnet, lambda one: bool(one.get("Main")))

    def _own(self, subnet: SubnetView) -> tuple[str, str]:
        return self._association(subnet, lambda one: one.get("SubnetId") == subnet.id)

    def _association(self, subnet: SubnetView, fits: Callable[[dict[str, Any]], bool]) -> tuple[str, str]:
        """Its id and the table's; empty when there is none."""
        tables = self._ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [subnet.vpc]}])["RouteTables"]
        for table in tables:
            for one in table["Associations"]:
                if fits(one):
                    return one["RouteTableAssociationId"], table["RouteTableId"]
        return "", ""
