"""The internet: one namespace that joins public segments, internet gateways and the way to the region's services.

It routes public addresses only: those of its segments, and those that an association points into a VPC. Gateway
endpoints enter it beside the internet gateways, with the machines' private addresses (AWS PrivateLink Guide, "Gateway
endpoints for Amazon S3": the service sees private addresses). Since the ranges of two VPCs may overlap, a connection
that came by an endpoint is told apart by a tracking zone of its own and its answers go back by a mark. Endpoints cut
the segments of TCP to their size and say nothing about what does not fit ("AWS PrivateLink quotas" there).
"""

from __future__ import annotations

from collections.abc import Mapping

from kip_conformance.infra.fabric.config import HOP, Item, NamedSet, NamespaceConfig, Table, hop_items
from kip_conformance.infra.fabric.names import Numbers, device
from kip_conformance.infra.fabric.networks import Lan
from kip_conformance.infra.fabric.ranges import joined
from kip_conformance.infra.fabric.state import NetworkState
from kip_conformance.infra.fabric.wires import ENDPOINT_MTU, FIRST_END, ROUTER_SYSCTLS, address_mac

__all__ = ["endpoint_addresses", "internet_config", "segment_items"]

_FIRST_MARK = 1


def endpoint_addresses(state: NetworkState, numbers: Numbers) -> dict[str, str]:
    """Where each interface endpoint is in the services' network, by its name: nobody else sees these addresses."""
    # 198.18.0.0/15 is kept for benchmarks: nobody's addresses.
    given = numbers.of("interface endpoints", (one.name for one in state.interface_endpoints), 1)
    return {name: f"198.18.{number // 256}.{number % 256}" for name, number in given.items()}


def segment_items(lan: Lan, at: str, hosts: Mapping[str, str]) -> dict[str, Item]:
    """A segment as a bridge named `at`; `hosts` are the devices that hang on it, by host."""
    own = address_mac(0xF9, str(lan.network.network_address))
    items = {
        f"{at}/made": Item(f"link add {at} address {own} type bridge", f"link del {at}"),
        # By itself: a segment that was made anew would have lost all that hangs on it.
        f"{at}/mtu": Item(f"link set {at} mtu {lan.mtu}", device=at),
        f"{at}/up": Item(f"link set {at} up", device=at),
    }
    if lan.router:
        address = f"addr {{}} {lan.router}/{lan.network.prefixlen} dev {at}"
        items[f"{at}/address"] = Item(address.format("replace"), address.format("del"), at)
    for port in hosts.values():
        items[f"{port}/up"] = Item(f"link set {port} master {at} up", device=port)
    return items


def internet_config(state: NetworkState, numbers: Numbers) -> NamespaceConfig:
    """The namespace INTERNET."""
    items = {"rest": Item("route replace blackhole default metric 4294967295")}
    devices: list[str] = []
    for lan in (one for one in state.lans if one.is_public):
        ports = {host.name: device("h", host.name) for host in state.hosts if host.lan == lan.name}
        items |= segment_items(lan, device("n", lan.name), ports)
        devices += ports.values()
    public = {one.name: device("i", one.name) for one in state.internet_gateways}
    for at in public.values():
        items |= hop_items(at, FIRST_END)
    gateways = _gateway_of(state)
    for association in (one for one in state.associations if gateways[one.interface]):
        at = public[gateways[association.interface]]
        line = f"route {{}} {association.public} via {HOP} dev {at} onlink"
        items[f"public/{association.public}"] = Item(line.format("replace"), line.format("del"), at)
    for name, address in endpoint_addresses(state, numbers).items():
        at = device("x", name)
        items |= hop_items(at, FIRST_END)
        line = f"route {{}} {address} via {HOP} dev {at} onlink"
        items[f"endpoint/{name}"] = Item(line.format("replace"), line.format("del"), at)
        devices.append(at)
    marks = numbers.of("gateway endpoints", (one.name for one in state.gateway_endpoints), _FIRST_MARK)
    for endpoint in state.gateway_endpoints:
        items |= _endpoint_items(device("s", endpoint.name), marks[endpoint.name])
        devices.append(device("s", endpoint.name))
    return NamespaceConfig(ROUTER_SYSCTLS, items, _table(state, marks), (*public.values(), *devices))


def _gateway_of(state: NetworkState) -> dict[str, str]:
    """The internet gateway of whatever can have a public address, by name; "" where the VPC has none."""
    of_vpc = {one.vpc: one.name for one in state.internet_gateways}
    places = [(one.name, one.subnet) for one in state.interfaces]
    places += [(one.name, one.subnet) for one in state.nat_gateways]
    return {name: of_vpc.get(state.vpc_at(subnet).name, "") for name, subnet in places}


def _endpoint_items(at: str, mark: int) -> dict[str, Item]:
    way = f"rule {{}} pref {100 + mark} fwmark {mark} lookup {100 + mark}"
    return {
        **hop_items(at, FIRST_END),
        f"{at}/rule": Item(way.format("add"), way.format("del")),
        f"{at}/back": Item(f"route replace default via {HOP} dev {at} onlink table {100 + mark}", device=at),
    }


def _table(state: NetworkState, marks: Mapping[str, int]) -> Table:
    """Marks and zones for gateway endpoints, and that they lead to their service alone."""
    ends = {one.name: device("s", one.name) for one in state.gateway_endpoints}
    lists = {one.name: joined(one.cidrs) for one in state.prefix_lists}
    zones = "".join(f'    iifname "{at}" ct original zone set {marks[name]}\n' for name, at in ends.items())
    allowed = tuple(f'"{ends[e.name]}" . {cidr}' for e in state.gateway_endpoints for cidr in lists[e.prefix_list])
    return Table(
        "ip endpoints",
        "  chain zones {\n"
        f"    type filter hook prerouting priority raw;\n{zones}"
        "  }\n"
        "  chain prerouting {\n"
        "    type filter hook prerouting priority mangle;\n"
        "    iifname @ends ct mark set iifname map @marks\n"
        "    iifname != @ends meta mark set ct mark\n"
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter;\n"
        '    iifname @ends iifname . ip daddr != @allowed counter drop comment "another service"\n'
        f'    iifname @ends meta length > {ENDPOINT_MTU} counter drop comment "larger than an endpoint takes"\n'
        f"    iifname @ends tcp flags syn tcp option maxseg size set {ENDPOINT_MTU - 40}\n"
        f"    oifname @ends tcp flags syn tcp option maxseg size set {ENDPOINT_MTU - 40}\n"
        "  }\n"
        # Translates nothing; that it is there keeps equal connections of two VPCs apart on their way back.
        "  chain postrouting {\n    type nat hook postrouting priority srcnat;\n  }\n",
        {
            "ends": NamedSet("set", "type ifname;", tuple(f'"{at}"' for at in ends.values())),
            "marks": NamedSet(
                "map", "type ifname : mark;", tuple(f'"{at}" : {marks[name]}' for name, at in ends.items())
            ),
            "allowed": NamedSet("set", "type ifname . ipv4_addr; flags interval;", allowed),
        },
    )
