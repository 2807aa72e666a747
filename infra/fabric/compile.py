"""From a NetworkState to what each network namespace must hold: commands by key, so that a difference can be applied.

The shape of the wire, for every interface:

    machine  eth0 ---- ins  NIC namespace  wire ---- e-<name>  router of the VPC

The NIC namespace is where security group and source/destination check live, because a packet that crosses the router
twice must meet each interface's group anew. Everything is layer 3: permanent neighbours, no ARP, no proxy ARP. The
router looks up the VPC's own addresses first, then the table of the subnet that the packet came from, and drops the
rest in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from kip_conformance.infra.fabric.state import GroupRule, Interface, NetworkState, Route, Vpc

__all__ = ["Item", "NamespaceConfig", "compile_state", "machine_namespace", "nic_namespace", "router_namespace"]

LOCAL_TABLE = 50
FIRST_TABLE = 100
# The router side of every NIC's wire has this address as the NIC sees it: it never appears in a packet.
_ROUTER_HOP = "169.254.0.1"

ROUTER_SYSCTLS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
}
MACHINE_SYSCTLS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/conf/all/route_localnet": "0",
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
}


def machine_namespace(machine: str) -> str:
    return f"m-{machine}"


def nic_namespace(interface: str) -> str:
    return f"nic-{interface}"


def router_namespace(vpc: str) -> str:
    return f"vpc-{vpc}"


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of `ip` configuration: the line that adds it and the one that takes it away ("" when another does)."""

    add: str
    remove: str = ""


@dataclass(frozen=True, slots=True)
class NamespaceConfig:
    """What one namespace holds. `links` are made outside of any namespace, before everything else."""

    sysctls: Mapping[str, str]
    items: Mapping[str, Item]
    nft: str = ""
    no_offload: tuple[str, ...] = ()


def compile_state(state: NetworkState) -> tuple[dict[str, Item], dict[str, NamespaceConfig]]:
    """Returns (links, namespaces): veth pairs by key, and each namespace's configuration by its name."""
    state.validate()
    links: dict[str, Item] = {}
    namespaces: dict[str, NamespaceConfig] = {}
    for vpc in state.vpcs:
        namespaces[router_namespace(vpc.name)] = _router(state, vpc)
    for interface in state.interfaces:
        vpc = state.vpc_of(interface)
        machine, nic = machine_namespace(interface.machine), nic_namespace(interface.name)
        inside, outside = _veths(interface, vpc)
        links[f"{interface.name}/machine"], links[f"{interface.name}/router"] = inside, outside
        before = namespaces.get(machine)
        namespaces[machine] = NamespaceConfig(
            MACHINE_SYSCTLS,
            {**(before.items if before else {}), **_machine_items(state, interface)},
            no_offload=((*before.no_offload,) if before else ()) + (interface.device,),
        )
        namespaces[nic] = NamespaceConfig(
            ROUTER_SYSCTLS, _nic_items(state, interface), _nic_rules(state, interface), ("ins", "wire")
        )
    return links, namespaces


def _mac(kind: int, interface: Interface) -> str:
    octets = IPv4Address(interface.addresses[0]).packed
    return ":".join(f"{part:02x}" for part in (0x02, kind, *octets))


def _router_device(interface: Interface) -> str:
    return f"e-{interface.name[-13:]}"


def _veths(interface: Interface, vpc: Vpc) -> tuple[Item, Item]:
    nic, machine = nic_namespace(interface.name), machine_namespace(interface.machine)
    router = router_namespace(vpc.name)
    inside = (
        f"link add {interface.device} netns {machine} address {_mac(0x00, interface)} mtu {vpc.mtu} type veth "
        f"peer name ins netns {nic} address {_mac(0xFE, interface)} mtu {vpc.mtu}"
    )
    outside = (
        f"link add wire netns {nic} address {_mac(0xFD, interface)} mtu {vpc.mtu} type veth "
        f"peer name {_router_device(interface)} netns {router} address {_mac(0xFC, interface)} mtu {vpc.mtu}"
    )
    # A veth pair goes with either end, and both ends go with the NIC's namespace.
    return Item(inside), Item(outside)


def _machine_items(state: NetworkState, interface: Interface) -> dict[str, Item]:
    device, subnet = interface.device, state.subnet(interface.subnet)
    items = {f"{device}/up": Item(f"link set {device} up")}
    length = subnet.network.prefixlen
    for address in interface.addresses[:1]:
        # noprefixroute: neighbours of the same subnet are reached through the gateway too, there is no layer 2.
        line = f"addr {{}} {address}/{length} dev {device} noprefixroute"
        items[f"{device}/{address}"] = Item(line.format("add"), line.format("del"))
    hop = f"route {{}} {subnet.gateway} dev {device} scope link src {interface.addresses[0]}"
    items[f"{device}/hop"] = Item(hop.format("add"), hop.format("del"))
    items[f"{device}/neighbour"] = Item(
        f"neigh replace {subnet.gateway} lladdr {_mac(0xFE, interface)} dev {device} nud permanent"
    )
    if device == "eth0":
        items[f"{device}/default"] = Item(
            f"route add default via {subnet.gateway} dev {device} src {interface.addresses[0]}"
        )
    return items


def _nic_items(state: NetworkState, interface: Interface) -> dict[str, Item]:
    primary = interface.addresses[0]
    items = {"ins/up": Item("link set ins up"), "wire/up": Item("link set wire up")}
    items["primary"] = Item(f"route add {primary} dev ins scope link")
    items["neighbour"] = Item(f"neigh replace {primary} lladdr {_mac(0x00, interface)} dev ins nud permanent")
    for address in interface.addresses[1:]:
        line = f"route {{}} {address} via {primary} dev ins onlink"
        items[f"also/{address}"] = Item(line.format("add"), line.format("del"))
    for route in _routes_to(state, interface):
        line = f"route {{}} {route} via {primary} dev ins onlink"
        items[f"routed/{route}"] = Item(line.format("add"), line.format("del"))
    items["hop"] = Item(f"route add {_ROUTER_HOP} dev wire scope link")
    items["hop-neighbour"] = Item(f"neigh replace {_ROUTER_HOP} lladdr {_mac(0xFC, interface)} dev wire nud permanent")
    items["default"] = Item(f"route add default via {_ROUTER_HOP} dev wire onlink")
    return items


def _routes_to(state: NetworkState, interface: Interface) -> list[str]:
    tables = [table for vpc in state.vpcs for table in vpc.route_tables]
    return sorted({route.destination for table in tables for route in table.routes if route.target == interface.name})


def _nic_rules(state: NetworkState, interface: Interface) -> str:
    own = ", ".join(interface.addresses)
    check = ""
    if interface.source_dest_check:
        check = (
            f'    iifname "ins" ip saddr != {{ {own} }} counter drop comment "source check"\n'
            f'    iifname "wire" ip daddr != {{ {own} }} counter drop comment "destination check"\n'
        )
    admitted = "".join(
        f'    iifname "wire" {_match(state, rule)} counter accept comment "{group.name}"\n'
        for group in state.groups
        if group.name in interface.groups
        for rule in group.ingress
    )
    return (
        "table inet nic {\n  chain forward {\n"
        "    type filter hook forward priority filter; policy drop;\n"
        f"{check}"
        "    ct state established,related accept\n"
        '    iifname "ins" accept comment "everything may leave"\n'
        f"{admitted}"
        '    counter comment "no group admits it"\n'
        "  }\n}\n"
    )


def _match(state: NetworkState, rule: GroupRule) -> str:
    members = [a for i in state.interfaces if rule.source in i.groups for a in i.addresses]
    is_group = rule.source in {group.name for group in state.groups}
    # A group without members admits nobody: nft has no empty anonymous set, an impossible source stands for it.
    source = "{ " + (", ".join(members) or "0.0.0.0") + " }" if is_group else rule.source
    text = f"ip saddr {source}"
    if rule.protocol == "icmp":
        return f"{text} icmp type echo-request"
    if rule.protocol in ("tcp", "udp"):
        low, high = rule.ports or (0, 65535)
        return f"{text} {rule.protocol} dport {low}-{high}"
    return text


def _router(state: NetworkState, vpc: Vpc) -> NamespaceConfig:
    interfaces = [i for i in state.interfaces if state.vpc_of(i).name == vpc.name]
    numbers = {table.name: FIRST_TABLE + index for index, table in enumerate(vpc.route_tables)}
    items: dict[str, Item] = {
        "rule/local": Item(f"rule add pref 100 lookup {LOCAL_TABLE}", f"rule del pref 100 lookup {LOCAL_TABLE}")
    }
    for name, number in numbers.items():
        line = f"rule {{}} pref {100 + number} fwmark {number} lookup {number}"
        items[f"rule/{name}"] = Item(line.format("add"), line.format("del"))
        items[f"table/{name}/rest"] = Item(
            f"route add blackhole default table {number}", f"route del blackhole default table {number}"
        )
    for cidr in vpc.cidrs:
        line = f"route {{}} blackhole {cidr} table {LOCAL_TABLE}"
        items[f"local/{cidr}"] = Item(line.format("add"), line.format("del"))
    for interface in interfaces:
        items |= _router_side(interface)
    for route_table in vpc.route_tables:
        for route in route_table.routes:
            line = _router_route(state, route, numbers[route_table.name])
            items[f"table/{route_table.name}/{route.destination}"] = Item(line.format("add"), line.format("del"))
    return NamespaceConfig(
        ROUTER_SYSCTLS,
        items,
        _router_rules(state, vpc, interfaces, numbers),
        tuple(_router_device(interface) for interface in interfaces),
    )


def _router_side(interface: Interface) -> dict[str, Item]:
    device, primary = _router_device(interface), interface.addresses[0]
    items = {
        f"{device}/up": Item(f"link set {device} up"),
        f"{device}/neighbour": Item(
            f"neigh replace {primary} lladdr {_mac(0xFD, interface)} dev {device} nud permanent"
        ),
    }
    # In the main table too: what the router itself says ("fragmentation needed") has no mark to go by.
    for table in ("main", LOCAL_TABLE):
        line = f"route {{}} {primary} dev {device} scope link table {table}"
        items[f"{device}/{table}"] = Item(line.format("add"), line.format("del"))
        for address in interface.addresses[1:]:
            line = f"route {{}} {address} via {primary} dev {device} onlink table {table}"
            items[f"{device}/{address}/{table}"] = Item(line.format("add"), line.format("del"))
    return items


def _router_route(state: NetworkState, route: Route, number: int) -> str:
    if route.target == "blackhole":
        return f"route {{}} blackhole {route.destination} table {number}"
    target = state.interface(route.target)
    hop = f"via {target.addresses[0]} dev {_router_device(target)} onlink"
    return f"route {{}} {route.destination} {hop} table {number}"


def _router_rules(state: NetworkState, vpc: Vpc, interfaces: list[Interface], numbers: Mapping[str, int]) -> str:
    marks = ", ".join(f'"{_router_device(i)}" : {numbers[state.subnet(i.subnet).route_table]}' for i in interfaces)
    elements = f" elements = {{ {marks} }}" if marks else ""
    return (
        "table ip routing {\n"
        f"  map of_subnet {{ type ifname : mark;{elements} }}\n"
        "  chain prerouting {\n"
        "    type filter hook prerouting priority mangle;\n"
        "    meta mark set iifname map @of_subnet\n"
        "  }\n}\n"
    )
