"""What translates addresses: internet gateways, NAT gateways, and what is behind interface endpoints.

Each has a namespace, hence a connection table, of its own.
"""

from __future__ import annotations

from kip_conformance.infra.fabric.config import HOP, Item, NamedSet, NamespaceConfig, Table, hop_items
from kip_conformance.infra.fabric.state import Association, Interface, InterfaceEndpoint, NatGateway, NetworkState, Vpc
from kip_conformance.infra.fabric.wires import ENDPOINT_MTU, FIRST_END, ROUTER_SYSCTLS, SECOND_END, mac

__all__ = ["endpoint_items", "endpoint_table", "internet_gateway_config", "nat_config", "nat_interface"]


def internet_gateway_config(state: NetworkState, vpc: Vpc) -> NamespaceConfig:
    """One to one, for associated addresses only; the rest is dropped (Amazon VPC User Guide, "Internet gateways").

    Connections are tracked because errors such as "fragmentation needed" must be translated too. So that nothing goes
    on by a translation that is no longer there, each packet's pair of addresses is looked up anew.
    """
    names = {i.name for i in state.interfaces if state.vpc_of(i).name == vpc.name}
    names |= {n.name for n in state.nat_gateways if state.vpc_at(n.subnet).name == vpc.name}
    mine = [one for one in state.associations if one.interface in names]
    items = {
        **hop_items("vpc", FIRST_END),
        **hop_items("out", SECOND_END),
        "default": Item(f"route replace default via {HOP} dev out onlink", device="out"),
    }
    for cidr in vpc.cidrs:
        line = f"route {{}} {cidr} via {HOP} dev vpc onlink"
        items[f"vpc/{cidr}"] = Item(line.format("replace"), line.format("del"), "vpc")
    return NamespaceConfig(ROUTER_SYSCTLS, items, _one_to_one(mine, vpc), ("vpc", "out"))


def _one_to_one(mine: list[Association], vpc: Vpc) -> Table:
    return Table(
        "ip gateway",
        "  chain prerouting {\n"
        "    type nat hook prerouting priority dstnat;\n"
        "    dnat to ip daddr map @private_of\n"
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy drop;\n"
        '    iifname "out" ip saddr @inside counter drop comment "an address of the VPC from outside"\n'
        "    ct state established,related ct original ip daddr . ct reply ip saddr @pairs accept\n"
        "    ct state established,related ct reply ip daddr . ct original ip saddr @pairs accept\n"
        '    ct state new iifname "out" ct original ip daddr . ip daddr @pairs accept\n'
        '    ct state new iifname "vpc" ip saddr @associated accept\n'
        '    counter comment "no public address stands for it"\n'
        "  }\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat;\n"
        "    snat to ip saddr map @public_of\n"
        "  }\n",
        {
            "private_of": NamedSet(
                "map", "type ipv4_addr : ipv4_addr;", tuple(f"{one.public} : {one.private}" for one in mine)
            ),
            "public_of": NamedSet(
                "map", "type ipv4_addr : ipv4_addr;", tuple(f"{one.private} : {one.public}" for one in mine)
            ),
            "pairs": NamedSet(
                "set", "type ipv4_addr . ipv4_addr;", tuple(f"{one.public} . {one.private}" for one in mine)
            ),
            "inside": NamedSet("set", "type ipv4_addr; flags interval;", vpc.cidrs),
            "associated": NamedSet("set", "type ipv4_addr;", tuple(one.private for one in mine)),
        },
    )


def nat_interface(gateway: NatGateway) -> Interface:
    """A NAT gateway as its VPC's router knows it: an interface without groups and without a NIC of its own."""
    return Interface(gateway.name, "", gateway.subnet, (gateway.address,), (), source_dest_check=False)


def nat_config(gateway: NatGateway) -> NamespaceConfig:
    """TCP, UDP and ICMP leave with its private address; nothing comes in (Amazon VPC User Guide, "NAT gateways")."""
    items = {
        "address": Item(f"addr replace {gateway.address}/32 dev lo"),
        **hop_items("wire", mac(0xFC, nat_interface(gateway))),
        "default": Item(f"route replace default via {HOP} dev wire onlink src {gateway.address}", device="wire"),
    }
    table = Table(
        "ip gateway",
        "  chain input {\n    type filter hook input priority filter; policy drop;\n    counter\n  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy drop;\n"
        "    ct state established,related accept\n"
        "    ct state new meta l4proto { tcp, udp, icmp } accept\n"
        '    counter comment "neither TCP nor UDP nor ICMP"\n'
        "  }\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat;\n"
        f"    ip saddr != {gateway.address} snat to {gateway.address}\n"
        "  }\n",
    )
    return NamespaceConfig(ROUTER_SYSCTLS, items, table, ("wire",))


def endpoint_items(endpoint: InterfaceEndpoint, own: str) -> dict[str, Item]:
    """The way from an interface endpoint to its service; `own` is its address over there."""
    return {
        "svc/address": Item(f"addr replace {own}/32 dev svc", device="svc"),
        **hop_items("svc", SECOND_END),
        "svc/service": Item(f"route replace {endpoint.service} via {HOP} dev svc onlink src {own}", device="svc"),
    }


def endpoint_table(endpoint: InterfaceEndpoint, own: str) -> Table:
    """TCP only, and to the service only (AWS PrivateLink Guide: interface endpoints support TCP).

    Segments are cut to size, and nothing is said about what does not fit ("AWS PrivateLink quotas").
    """
    return Table(
        "ip gateway",
        "  chain prerouting {\n"
        "    type nat hook prerouting priority dstnat;\n"
        f'    iifname "eth0" ip daddr {endpoint.address} meta l4proto tcp dnat to {endpoint.service}\n'
        "  }\n"
        "  chain input {\n    type filter hook input priority filter; policy drop;\n    counter\n  }\n"
        "  chain output {\n    type filter hook output priority filter; policy drop;\n    counter\n  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy drop;\n"
        f"    tcp flags syn tcp option maxseg size set {ENDPOINT_MTU - 40}\n"
        "    ct state established,related accept\n"
        '    ct state new iifname "eth0" oifname "svc" ct status dnat accept\n'
        '    counter comment "not for the service"\n'
        "  }\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat;\n"
        f'    oifname "svc" snat to {own}\n'
        "  }\n",
    )
