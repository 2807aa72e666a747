"""Networks that are no VPC, as values: the public ones of the internet and of the region's services, and sites."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

__all__ = ["Host", "Lan"]


@dataclass(frozen=True, slots=True)
class Lan:
    """An Ethernet segment. A public one is part of the internet, which has base + 1 in it; others are islands."""

    name: str
    cidr: str
    is_public: bool = False
    mtu: int = 1500

    @property
    def network(self) -> IPv4Network:
        return IPv4Network(self.cidr)

    @property
    def router(self) -> str:
        """The internet's address in a public segment, nothing in an island."""
        return str(self.network.network_address + 1) if self.is_public else ""


@dataclass(frozen=True, slots=True)
class Host:
    """A machine's place in a Lan. `gateway` is its default route's next hop, "-" for none, "" for the Lan's router.

    `routes` are further (CIDR, next hop) pairs, `also` further addresses on the same device.
    """

    machine: str
    lan: str
    address: str
    device: str = "eth0"
    gateway: str = ""
    routes: tuple[tuple[str, str], ...] = ()
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.machine}/{self.device}"
