"""Whether a machine's kernel forwards packets between its pods and the rest of the network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Machine

__all__ = ["interfaces_towards", "not_forwarding"]

_SWITCH = "/proc/sys/net/ipv4/ip_forward"


def not_forwarding(machine: Machine, pods: Sequence[str]) -> tuple[str, ...]:
    """The IPv4 forwarding switches of a machine that are off, by path: the machine's own, and that of every interface
    that leads to one of these pod addresses or by default to all others.

    Raises HarnessError when the machine cannot be read.
    """
    routes = machine.run(["ip", "-json", "-4", "route", "show", "table", "main"])
    if routes.returncode != 0:
        raise HarnessError(f"{machine.name}: routes cannot be read: {routes.stderr.decode(errors='replace').strip()}")
    interfaces = interfaces_towards(json.loads(routes.stdout or b"[]"), pods)
    switches = [_SWITCH, *(f"/proc/sys/net/ipv4/conf/{interface}/forwarding" for interface in interfaces)]
    return tuple(switch for switch in switches if machine.read(switch).strip() != b"1")


def interfaces_towards(routes: Iterable[Mapping[str, Any]], addresses: Iterable[str]) -> tuple[str, ...]:
    """The interfaces on which routes (as `ip -json route` prints them) send to these addresses, and by default."""
    known = [
        (ip_network("0.0.0.0/0" if route["dst"] == "default" else route["dst"]), str(route["dev"]))
        for route in routes
        if "dev" in route
    ]
    chosen = [device for network, device in known if network.prefixlen == 0]
    for address in map(ip_address, addresses):
        fitting = [(network.prefixlen, device) for network, device in known if address in network]
        if fitting:
            chosen.append(max(fitting)[1])
    return tuple(dict.fromkeys(chosen))
