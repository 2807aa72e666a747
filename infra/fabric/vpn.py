"""The virtual private gateway and the customer's side of its connections, as far as a plain link carries them.

Sources: AWS Site-to-Site VPN User Guide. What the gateway sends into the VPC is unmarked there, so that a site reaches
the VPC and nothing beyond it.
"""

from __future__ import annotations

from kip_conformance.infra.fabric.config import HOP, Item, Link, NamespaceConfig, Table, hop_items
from kip_conformance.infra.fabric.names import device, machine_namespace, vpn_gateway_namespace
from kip_conformance.infra.fabric.networks import Host
from kip_conformance.infra.fabric.state import NetworkState, Vpc, VpnConnection, VpnGateway
from kip_conformance.infra.fabric.wires import FIRST_END, ROUTER_SYSCTLS, SECOND_END, wire

__all__ = ["carried", "customer_items", "tunnel_device", "tunnel_link", "vpn_gateway_config"]


def carried(state: NetworkState, gateway: str = "") -> list[VpnConnection]:
    """The connections (of one gateway, or all) whose tunnel is a plain link and up."""
    return [one for one in state.vpn_connections if one.kind == "plain" and one.is_up and gateway in ("", one.gateway)]


def tunnel_device(connection: VpnConnection) -> str:
    """The tunnel's device at both of its ends."""
    return device("t", connection.name)


def tunnel_link(connection: VpnConnection) -> Link:
    at = tunnel_device(connection)
    ends = ((vpn_gateway_namespace(connection.gateway), at), (machine_namespace(connection.machine), at))
    return wire(ends, connection.mtu)


def vpn_gateway_config(state: NetworkState, gateway: VpnGateway, vpc: Vpc) -> NamespaceConfig:
    """Between the VPC's router and the tunnels; of two ways to a range the connection that is listed first has it."""
    items = {
        "rest": Item("route replace blackhole default metric 4294967295"),
        **hop_items("vpc", FIRST_END),
    }
    for cidr in vpc.cidrs:
        line = f"route {{}} {cidr} via {HOP} dev vpc onlink"
        items[f"vpc/{cidr}"] = Item(line.format("replace"), line.format("del"), "vpc")
    connections = carried(state, gateway.name)
    for rank, connection in enumerate(connections):
        at = tunnel_device(connection)
        items |= hop_items(at, SECOND_END)
        for cidr in connection.routes:
            line = f"route {{}} {cidr} via {HOP} dev {at} onlink metric {rank + 1}"
            items[f"{at}/{cidr}"] = Item(line.format("replace"), line.format("del"), at)
    table = None
    if not all(connection.reports_too_big for connection in connections):
        # The errors about what did not fit into a tunnel go to the VPC: there is no telling whose they are.
        table = Table(
            "ip gateway",
            "  chain output {\n    type filter hook output priority filter;\n"
            '    icmp type destination-unreachable icmp code frag-needed counter drop comment "says nothing"\n  }\n',
        )
    return NamespaceConfig(ROUTER_SYSCTLS, items, table, ("vpc", *(tunnel_device(one) for one in connections)))


def customer_items(connection: VpnConnection, vpc: Vpc, host: Host) -> dict[str, Item]:
    """The customer gateway's routes to the VPC, from its own address at its place in the site."""
    at = tunnel_device(connection)
    items = hop_items(at, FIRST_END)
    for cidr in vpc.cidrs:
        line = f"route {{}} {cidr} via {HOP} dev {at} onlink src {host.address}"
        # With its source's device, too: a route goes with the address that it names.
        items[f"{at}/{cidr}"] = Item(line.format("replace"), line.format("del"), f"{at} {host.device}")
    return items
