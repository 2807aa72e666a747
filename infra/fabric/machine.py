"""What a machine's own namespace starts out with: addresses and routes as the cloud's DHCP would set them up."""

from __future__ import annotations

import re

from kip_conformance.infra.fabric.config import Item, NamespaceConfig
from kip_conformance.infra.fabric.networks import Host, Lan
from kip_conformance.infra.fabric.state import Interface, NetworkState
from kip_conformance.infra.fabric.wires import MACHINE_SYSCTLS, mac

__all__ = ["host_items", "interface_items", "with_items"]

_FIRST_SOURCE_TABLE = 1000


def with_items(before: NamespaceConfig | None, items: dict[str, Item], device: str) -> NamespaceConfig:
    """A machine's configuration with one more device."""
    if before is None:
        return NamespaceConfig(MACHINE_SYSCTLS, items, no_offload=(device,))
    return NamespaceConfig(MACHINE_SYSCTLS, {**before.items, **items}, before.table, (*before.no_offload, device))


def interface_items(state: NetworkState, interface: Interface) -> dict[str, Item]:
    """The primary address, the subnet's gateway behind it, and for eth0 the default route."""
    device, subnet, primary = interface.device, state.subnet(interface.subnet), interface.addresses[0]
    number = _number(device)
    # Two interfaces in one subnet have the same gateway: the lower number is preferred.
    metric = f" metric {number}" if number else ""
    # noprefixroute: neighbours of the same subnet are reached through the gateway too, there is no layer 2.
    address = f"addr {{}} {primary}/{subnet.network.prefixlen} dev {device} noprefixroute"
    hop = f"route {{}} {subnet.gateway} dev {device} scope link src {primary}{metric}"
    items = {
        f"{device}/up": Item(f"link set {device} up", device=device),
        f"{device}/{primary}": Item(
            address.format("replace"), address.format("del").removesuffix(" noprefixroute"), device
        ),
        f"{device}/hop": Item(hop.format("replace"), hop.format("del"), device),
        f"{device}/neighbour": Item(
            f"neigh replace {subnet.gateway} lladdr {mac(0xFE, interface)} dev {device} nud permanent", device=device
        ),
    }
    if device == "eth0":
        items[f"{device}/default"] = Item(
            f"route replace default via {subnet.gateway} dev {device} onlink src {primary}", device=device
        )
    if interface.has_source_routing:
        items |= _source_routing(interface, subnet.gateway, _FIRST_SOURCE_TABLE + number)
    return items


def _source_routing(interface: Interface, gateway: str, table: int) -> dict[str, Item]:
    device = interface.device
    items = {
        f"{device}/table": Item(f"route replace default via {gateway} dev {device} onlink table {table}", device=device)
    }
    for address in interface.addresses:
        line = f"rule {{}} pref {table} from {address} lookup {table}"
        items[f"{device}/from/{address}"] = Item(line.format("add"), line.format("del"))
    return items


def host_items(host: Host, lan: Lan) -> dict[str, Item]:
    """An address on a segment, and the next hop for the rest."""
    device = host.device
    items = {f"{device}/up": Item(f"link set {device} up", device=device)}
    for one in (host.address, *host.also):
        address = f"addr {{}} {one}/{lan.network.prefixlen} dev {device}"
        items[f"{device}/{one}"] = Item(address.format("replace"), address.format("del"), device)
    gateway = host.gateway or lan.router
    ways = [*([("default", gateway)] if gateway not in ("", "-") else []), *host.routes]
    for destination, hop in ways:
        line = f"route {{}} {destination} via {hop} dev {device}"
        items[f"{device}/to/{destination}"] = Item(line.format("replace"), line.format("del"), device)
    return items


def _number(device: str) -> int:
    digits = re.search(r"\d+$", device)
    return int(digits[0]) if digits else 0
