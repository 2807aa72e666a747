"""Somebody on the internet whom pods reach, and who tells under which address they come: a place, and its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.protocol import Place, Protocol4

__all__ = ["OutsideServer"]


@dataclass(frozen=True, slots=True)
class OutsideServer:
    """`place` is a prober outside of the cloud's networks, `name` a name of it that the world's resolvers know."""

    place: Place
    name: str

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> OutsideServer:
        """As a target that declares `outside` describes it in its details."""
        told = dict(details["place"])
        told |= {key: tuple(told[key]) for key in ("sources", "ports")}
        return cls(Place(**told), str(details["name"]))

    def by_name(self, protocol: Protocol4) -> ProbeTarget:
        """The same listener, whose address the client has to find out first."""
        port = self.place.ports[0]
        return ProbeTarget(self.name, self.name, port, protocol, (self.place.name,), backend_port=port)
