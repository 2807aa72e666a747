"""Names of namespaces, devices, sets and tables. A fault or a look into the network finds its place by these."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping

__all__ = [
    "INTERNET",
    "NAMEABLE",
    "Numbers",
    "device",
    "endpoint_namespace",
    "internet_gateway_namespace",
    "lan_namespace",
    "machine_namespace",
    "nat_namespace",
    "nic_namespace",
    "router_device",
    "router_namespace",
    "set_name",
    "vpn_gateway_namespace",
]

INTERNET = "internet"
"""The namespace that joins internet gateways, public segments and endpoints."""

NAMEABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""What can be part of a namespace's name."""

_LONGEST_DEVICE = 15
_SET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def machine_namespace(machine: str) -> str:
    return f"m-{machine}"


def nic_namespace(interface: str) -> str:
    """Security groups, source check and link-local services of one interface."""
    return f"nic-{interface}"


def router_namespace(vpc: str) -> str:
    return f"vpc-{vpc}"


def internet_gateway_namespace(gateway: str) -> str:
    return f"igw-{gateway}"


def nat_namespace(gateway: str) -> str:
    return f"nat-{gateway}"


def vpn_gateway_namespace(gateway: str) -> str:
    return f"vgw-{gateway}"


def endpoint_namespace(endpoint: str) -> str:
    """What stands behind an interface endpoint's network interface."""
    return f"vpce-{endpoint}"


def lan_namespace(lan: str) -> str:
    """An island's segment; public segments are in INTERNET."""
    return f"net-{lan}"


def device(kind: str, name: str) -> str:
    """A device's name of at most 15 characters: `kind-name`, or a digest where that is longer.

    Names that differ give devices that differ, also when they end alike.
    """
    plain = f"{kind}-{name}"
    if len(plain) <= _LONGEST_DEVICE and "/" not in plain:
        return plain
    digest = base64.b32encode(hashlib.blake2b(name.encode(), digest_size=10).digest()).decode().lower()
    return f"{kind}-{digest}"[:_LONGEST_DEVICE]


def router_device(interface: str) -> str:
    """The router's side of an interface's wire."""
    return device("e", interface)


def set_name(kind: str, name: str) -> str:
    """An nft set's name for a group (`g`) or a prefix list (`p`)."""
    if _SET.fullmatch(name):
        return f"{kind}-{name}"
    return f"{kind}_{hashlib.blake2b(name.encode(), digest_size=10).hexdigest()}"


class Numbers:
    """Numbers that stay what they are while their owners exist: routing tables, marks, addresses by index."""

    def __init__(self, known: Mapping[str, Mapping[str, int]] | None = None) -> None:
        self._known = known or {}
        self.given: dict[str, dict[str, int]] = {}

    def of(self, pool: str, names: Iterable[str], first: int) -> dict[str, int]:
        """A number from `first` on for each name, the one it had before if it had one."""
        wanted = list(names)
        before = self._known.get(pool, {})
        given = {name: before[name] for name in wanted if name in before}
        taken, candidate = set(given.values()), first
        for name in wanted:
            if name not in given:
                while candidate in taken:
                    candidate += 1
                given[name] = candidate
                taken.add(candidate)
        self.given[pool] = given
        return given
