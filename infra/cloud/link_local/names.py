"""What one VPC's resolver answers by itself, as lookups by name; everything else it passes on.

Sources: Amazon VPC User Guide, Understanding Amazon DNS (private and public names, the two attributes of a VPC);
Amazon Route 53 Developer Guide, Domain names that Resolver creates autodefined system rules for (what is answered
locally even when it does not exist) and Considerations when working with a private hosted zone. RFC 8020: below a
name that does not exist there is nothing; a name that has others below it exists.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from kip_conformance.infra.cloud.facts import ZoneFacts, internal_domain, private_name, public_name

__all__ = ["Found", "NameTable"]

_PRIVATE = tuple(IPv4Network(range_) for range_ in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_REVERSE = "in-addr.arpa"


@dataclass(frozen=True, slots=True)
class Found:
    """What a name has. `apex` is the zone that answers; without `exists` the answer is that there is no such name."""

    apex: str
    exists: bool
    addresses: tuple[str, ...] = ()
    pointer: str = ""
    is_apex: bool = False


@dataclass(frozen=True, slots=True)
class NameTable:
    """The lookups of one VPC. Names are in lower case, without the dot at the end."""

    facts: ZoneFacts
    _addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _pointers: dict[str, str] = field(default_factory=dict)
    _apexes: dict[str, None] = field(default_factory=dict)
    _above: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, facts: ZoneFacts) -> NameTable:
        table = cls(facts)
        table._apexes[internal_domain(facts.region)] = None
        if facts.dns_hostnames:
            for address in facts.addresses:
                name = private_name(address, facts.region)
                table._addresses[name] = (address,)
                table._pointers[_reverse(address)] = name
            for public, private in facts.public:
                name = public_name(public, facts.region)
                table._addresses[name] = (private,)
                # A zone of its own: other public names of the region are the world's to answer.
                table._apexes[name] = None
            for zone in facts.hosted:
                table._apexes[zone.apex.lower()] = None
                table._addresses.update((name.lower(), found) for name, found in zone.addresses)
        for name in (*table._addresses, *table._pointers):
            table._above.update(_parents(name))
        return table

    def find(self, name: str) -> Found | None:
        """None when the question is not for this resolver to answer."""
        reverse = self._find_reverse(name)
        if reverse is not None:
            return reverse
        apex = next((parent for parent in (name, *_parents(name)) if parent in self._apexes), None)
        if apex is None:
            return None
        if name in self._addresses:
            return Found(apex, True, self._addresses[name], is_apex=name == apex)
        if name == apex or name in self._above:
            return Found(apex, True, is_apex=name == apex)
        for parent in _parents(name):
            if (wild := f"*.{parent}") in self._addresses:
                return Found(apex, True, self._addresses[wild])
            if parent == apex or parent in self._above:
                break  # only the closest name that exists may have a wildcard (RFC 4592)
        return Found(apex, False)

    def _find_reverse(self, name: str) -> Found | None:
        """Reverse names of the private ranges and of the VPC's own are never passed on."""
        if not name.endswith(f".{_REVERSE}"):
            return None
        labels = name.removesuffix(f".{_REVERSE}").split(".")
        if len(labels) > 4 or not all(label.isascii() and label.isdigit() and int(label) < 256 for label in labels):
            return None
        octets = [*reversed(labels), *["0"] * (4 - len(labels))]
        network = IPv4Network((IPv4Address(".".join(octets)), 8 * len(labels)))
        own = [*_PRIVATE, *(IPv4Network(cidr) for cidr in self.facts.cidrs)]
        around = next((range_ for range_ in own if network.subnet_of(range_)), None)
        if around is None:
            return None
        # As Resolver has them, zones end at whole octets: 16.172.in-addr.arpa to 31.172.in-addr.arpa for 172.16.0.0/12.
        apex = ".".join([*labels[-math.ceil(around.prefixlen / 8) :], _REVERSE])
        pointer = self._pointers.get(name, "")
        return Found(apex, bool(pointer) or name in self._above or name == apex, (), pointer, name == apex)


def _reverse(address: str) -> str:
    return IPv4Address(address).reverse_pointer


def _parents(name: str) -> Iterable[str]:
    """Every name above, the closest first."""
    while (rest := name.partition(".")[2]) != "":
        name = rest
        yield name
