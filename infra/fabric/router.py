"""The router of a VPC: the local route, a routing table for each route table, and nothing that answers by itself.

What comes in from a subnet is marked with the subnet's route table. What comes in from a gateway (internet, virtual
private, peering, endpoint) carries no mark and sees the local route only: that is why none of them is transitive
(Amazon VPC Peering Guide, "VPC peering basics"). Order of the lookups:

    1. the table's routes that are more specific than the local one: whole subnets (Amazon VPC User Guide, "Route
       tables": such a route must match a subnet's CIDR exactly)
    2. the local route: the VPC's addresses as /32, and a hole for the rest of its ranges
    3. for what the router itself says ("fragmentation needed") the way back through the gateways
    4. the table's other routes, then a hole: no route is a silent drop
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kip_conformance.infra.fabric.config import HOP, Item, NamedSet, NamespaceConfig, Table, hop_items
from kip_conformance.infra.fabric.names import Numbers, device, router_device
from kip_conformance.infra.fabric.ranges import network
from kip_conformance.infra.fabric.state import Interface, NetworkState, Route, RouteTable, Vpc
from kip_conformance.infra.fabric.wires import FIRST_END, ROUTER_SYSCTLS, SECOND_END, mac

__all__ = ["Attached", "effective_routes", "router_config"]

OWN_TABLE, LOCAL_TABLE, FIRST_TABLE = 40, 50, 100
_SPECIFIC = 10_000
"""What a table's number is raised by for its routes that are more specific than the local one."""
_LAST = 4_294_967_295


class Attached:
    """What hangs on a VPC's router besides machines: device by the name that routes call it, and what is behind it."""

    def __init__(self, state: NetworkState, vpc: Vpc) -> None:
        self.devices: dict[str, str] = {}
        # The link address of the other end, and the ranges that the router's own messages take this way.
        self.neighbours: dict[str, str] = {}
        self.behind: dict[str, tuple[str, ...]] = {}
        self.tables: dict[str, str] = {}
        for igw in (one for one in state.internet_gateways if one.vpc == vpc.name):
            self._add(igw.name, "igw", ("default",), igw.route_table)
        for vgw in (one for one in state.vpn_gateways if one.vpc == vpc.name):
            routes = (r for c in state.vpn_connections if c.gateway == vgw.name for r in c.routes)
            self._add(vgw.name, "vgw", tuple(dict.fromkeys(routes)), vgw.route_table)
        for peering in (one for one in state.peerings if vpc.name in one.vpcs):
            other = next(name for name in peering.vpcs if name != vpc.name)
            # The first VPC of the two has the first end.
            neighbour = SECOND_END if peering.vpcs[0] == vpc.name else FIRST_END
            self._add(peering.name, device("p", peering.name), state.vpc(other).cidrs, neighbour=neighbour)
        for endpoint in (one for one in state.gateway_endpoints if one.vpc == vpc.name):
            self._add(endpoint.name, device("s", endpoint.name), ())

    def _add(self, name: str, at: str, behind: tuple[str, ...], table: str = "", neighbour: str = SECOND_END) -> None:
        self.devices[name], self.neighbours[at], self.behind[at] = at, neighbour, behind
        if table:
            self.tables[at] = table


def effective_routes(state: NetworkState, vpc: Vpc, table: RouteTable) -> list[Route]:
    """A table's routes with prefix lists opened and propagated routes added where no static one is in their way.

    By "Route priority" of the Amazon VPC User Guide: a static route wins over a prefix list's and that one over a
    propagated one to the same destination; a propagated route never takes a part of the local one.
    """
    lists = {one.name: one.cidrs for one in state.prefix_lists}
    found: dict[str, Route] = {}
    local = [network(cidr) for cidr in vpc.cidrs]
    for route in table.routes:
        if route.destination not in lists:
            found[route.destination] = route
    for route in table.routes:
        for cidr in lists.get(route.destination, ()):
            found.setdefault(cidr, Route(cidr, route.target))
    for connection in state.vpn_connections:
        if connection.gateway in table.propagating:
            for cidr in connection.routes:
                if not any(network(cidr).overlaps(own) for own in local):
                    found.setdefault(cidr, Route(cidr, connection.gateway))
    return list(found.values())


def router_config(state: NetworkState, vpc: Vpc, interfaces: Iterable[Interface], numbers: Numbers) -> NamespaceConfig:
    """`interfaces` are all of this VPC, those of NAT gateways and interface endpoints among them."""
    attached, mine = Attached(state, vpc), list(interfaces)
    tables = numbers.of(f"tables of {vpc.name}", (table.name for table in vpc.route_tables), FIRST_TABLE)
    items = _lookups(vpc)
    for interface in mine:
        items |= _interface_side(interface)
    for at, neighbour in attached.neighbours.items():
        items |= hop_items(at, neighbour)
        for cidr in attached.behind[at]:
            line = f"route {{}} {cidr} via {HOP} dev {at} onlink table {OWN_TABLE}"
            items[f"{at}/own/{cidr}"] = Item(line.format("replace"), line.format("del"), at)
    hops = {i.name: f"via {i.addresses[0]} dev {router_device(i.name)} onlink" for i in mine}
    hops |= {name: f"via {HOP} dev {at} onlink" for name, at in attached.devices.items()}
    for table in vpc.route_tables:
        items |= _table_items(state, vpc, table, tables[table.name], hops)
    devices = (*(router_device(i.name) for i in mine), *attached.neighbours)
    return NamespaceConfig(ROUTER_SYSCTLS, items, _marks(state, mine, attached, tables), devices)


def _lookups(vpc: Vpc) -> dict[str, Item]:
    items = {
        "rule/own": Item(
            f"rule add pref 110 iif lo lookup {OWN_TABLE}", f"rule del pref 110 iif lo lookup {OWN_TABLE}"
        ),
        "rule/local": Item(f"rule add pref 100 lookup {LOCAL_TABLE}", f"rule del pref 100 lookup {LOCAL_TABLE}"),
        "rest": Item(f"route replace blackhole default metric {_LAST}"),
    }
    for cidr in vpc.cidrs:
        line = f"route {{}} blackhole {cidr} table {LOCAL_TABLE}"
        items[f"local/{cidr}"] = Item(line.format("replace"), line.format("del"))
    return items


def _interface_side(interface: Interface) -> dict[str, Item]:
    at, primary = router_device(interface.name), interface.addresses[0]
    items = {
        f"{at}/up": Item(f"link set {at} up alias {interface.name}", device=at),
        f"{at}/neighbour": Item(
            f"neigh replace {primary} lladdr {mac(0xFD, interface)} dev {at} nud permanent", device=at
        ),
    }
    # In the main table too, the last one that a packet without a mark is looked up in.
    for table in ("main", LOCAL_TABLE):
        for address in interface.addresses:
            hop = "scope link" if address == primary else "onlink"
            way = f"dev {at}" if address == primary else f"via {primary} dev {at}"
            line = f"route {{}} {address} {way} {hop} table {table}"
            items[f"{at}/{address}/{table}"] = Item(line.format("replace"), line.format("del"), at)
    return items


def _table_items(
    state: NetworkState, vpc: Vpc, table: RouteTable, number: int, hops: Mapping[str, str]
) -> dict[str, Item]:
    name = table.name
    rule = f"rule {{}} pref {100 + number} fwmark {number} lookup {number}"
    items = {
        f"table/{name}/rule": Item(rule.format("add"), rule.format("del")),
        f"table/{name}/rest": Item(
            f"route replace blackhole default metric {_LAST} table {number}",
            f"route del blackhole default metric {_LAST} table {number}",
        ),
    }
    local = [network(cidr) for cidr in vpc.cidrs]
    for route in effective_routes(state, vpc, table):
        inside = any(network(route.destination).subnet_of(cidr) for cidr in local)
        at = number + _SPECIFIC if inside else number
        if inside:
            rule = f"rule {{}} pref 50 fwmark {number} lookup {at}"
            items[f"table/{name}/specific"] = Item(rule.format("add"), rule.format("del"))
        hole = route.target == "blackhole"
        line = f"route {{}} {'blackhole ' if hole else ''}{route.destination} {hops.get(route.target, '')}".rstrip()
        where = "" if hole else hops[route.target].split()[3]
        items[f"table/{name}/{at}/{route.destination}"] = Item(
            f"{line.format('replace')} table {at}", f"{line.format('del')} table {at}", where
        )
    return items


def _marks(state: NetworkState, interfaces: list[Interface], attached: Attached, tables: Mapping[str, int]) -> Table:
    marks = {router_device(i.name): tables[state.subnet(i.subnet).route_table] for i in interfaces}
    marks |= {at: tables[table] for at, table in attached.tables.items()}
    return Table(
        "ip routing",
        "  chain prerouting {\n"
        "    type filter hook prerouting priority mangle;\n"
        "    meta mark set iifname map @of_subnet\n"
        "  }\n",
        {"of_subnet": NamedSet("map", "type ifname : mark;", tuple(f'"{at}" : {n}' for at, n in marks.items()))},
    )
