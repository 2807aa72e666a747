"""Routes to cells, for pods that carry other networks' packets (annotation cloud-route).

They go into the table that is in force for the cells' subnet, which may be the VPC's main one, and the cell's
source/destination check goes off (Amazon VPC User Guide, Route tables; Amazon EC2 User Guide, source/destination
checking). A route that leads elsewhere is nobody's to take.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.provider.cloud import Cloud, CloudRefusal
from kip_conformance.infra.provider.fleet import Cell
from kip_conformance.infra.provider.placement import Place, table_of

__all__ = ["CellRoutes"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CellRoutes:
    """Routes of one subnet's cells."""

    cloud: Cloud
    place: Place

    async def taken(self, cidrs: Iterable[str]) -> str:
        """The first of these ranges that has a route to somewhere else, and where to; empty when none has."""
        table = await table_of(self.cloud, self.place)
        routes = _by_range(table)
        for cidr in cidrs:
            found = routes.get(cidr)
            if found is not None and found.get("State", "active") == "active":
                return f"{cidr} has a route to {_target(found)} in {(table or {}).get('RouteTableId')}"
        return ""

    async def ensure(self, cell: Cell, cidrs: Iterable[str]) -> None:
        """Each range leads to the cell. Raises CloudRefusal, RouteAlreadyExists too: another was faster."""
        wanted = tuple(cidrs)
        if not wanted:
            return
        await self.cloud.call("modify_instance_attribute", InstanceId=cell.instance, SourceDestCheck={"Value": False})
        table = await table_of(self.cloud, self.place)
        routes, where = _by_range(table), (table or {}).get("RouteTableId")
        for cidr in wanted:
            found = routes.get(cidr)
            if found is not None and cell.interface == found.get("NetworkInterfaceId"):
                continue
            is_dead = found is not None and found.get("State") == "blackhole"
            action = "replace_route" if is_dead else "create_route"
            await self.cloud.call(
                action, RouteTableId=where, DestinationCidrBlock=cidr, NetworkInterfaceId=cell.interface
            )

    async def remove(self, cells: Iterable[Cell]) -> None:
        """Take away what leads to these cells, in whichever table of the VPC it is. What fails is a line in the log:
        the sweep comes back to it."""
        with_routes = [cell for cell in cells if cell.routes]
        if not with_routes:
            return
        targets = {one for cell in with_routes for one in (cell.instance, cell.interface)} - {""}
        filters = [{"Name": "vpc-id", "Values": [self.place.vpc]}]
        try:
            for table in await self.cloud.all("describe_route_tables", Filters=filters):
                for route in table.get("Routes", []):
                    if {route.get("InstanceId"), route.get("NetworkInterfaceId")} & targets:
                        await self.cloud.call(
                            "delete_route",
                            RouteTableId=table["RouteTableId"],
                            DestinationCidrBlock=route["DestinationCidrBlock"],
                        )
        except CloudRefusal as error:
            if error.code != "InvalidRoute.NotFound":
                _LOG.warning("%s", error)


def _by_range(table: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    routes = (table or {}).get("Routes", [])
    return {one["DestinationCidrBlock"]: one for one in routes if "DestinationCidrBlock" in one}


def _target(route: dict[str, Any]) -> str:
    for key in ("GatewayId", "InstanceId", "NetworkInterfaceId", "NatGatewayId", "VpcPeeringConnectionId"):
        if route.get(key):
            return str(route[key])
    return "somewhere else"
