"""What a network namespace must hold, as values that can be compared: the language between compile and reconcile."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

__all__ = ["HOP", "Compiled", "Item", "Link", "NamedSet", "NamespaceConfig", "Table", "hop_items"]

HOP = "169.254.0.1"
"""The next hop on a wire between two namespaces: it never appears in a packet."""


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of `ip` configuration: the line that adds it and the one that takes it away ("" when another does).

    A line with `replace` changes in place. `device` is what the kernel would take it away with ("" when nothing, two
    with a space between when each of them does).
    """

    add: str
    remove: str = ""
    device: str = ""

    def goes_with(self, devices: Collection[str]) -> bool:
        """Whether the kernel takes it away with one of these."""
        return any(one in devices for one in self.device.split())


@dataclass(frozen=True, slots=True)
class Link:
    """A pair of devices in two namespaces; `ends` are (namespace, device). It goes with its first end."""

    add: str
    ends: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set or map of nft: its `kind` (set or map), how it is declared, and what is in it."""

    kind: str
    declared: str
    elements: tuple[str, ...] = ()

    def is_like(self, other: NamedSet) -> bool:
        """Whether the two differ in their elements at most."""
        return (self.kind, self.declared) == (other.kind, other.declared)

    def text(self, name: str) -> str:
        inside = f" elements = {{ {', '.join(self.elements)} }}" if self.elements else ""
        return f"  {self.kind} {name} {{ {self.declared}{inside} }}\n"


@dataclass(frozen=True, slots=True)
class Table:
    """One nft table: `chains` is the text of all of them."""

    name: str
    chains: str
    sets: Mapping[str, NamedSet] = field(default_factory=dict)

    def text(self) -> str:
        sets = "".join(one.text(name) for name, one in self.sets.items())
        return f"table {self.name} {{\n{sets}{self.chains}}}\n"


@dataclass(frozen=True, slots=True)
class NamespaceConfig:
    """What one namespace holds. `sysctls` are set when it is made: paths below /proc/sys/net, a leading - may fail."""

    sysctls: Mapping[str, str]
    items: Mapping[str, Item]
    table: Table | None = None
    no_offload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compiled:
    """A whole network: pairs of devices by key, namespaces by name, and the numbers that were given out."""

    links: Mapping[str, Link] = field(default_factory=dict)
    namespaces: Mapping[str, NamespaceConfig] = field(default_factory=dict)
    numbers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def hop_items(device: str, mac: str) -> dict[str, Item]:
    """A wire's end: up, with HOP as the permanent neighbour whose address is `mac`."""
    return {
        f"{device}/up": Item(f"link set {device} up", device=device),
        f"{device}/hop": Item(f"neigh replace {HOP} lladdr {mac} dev {device} nud permanent", device=device),
    }
