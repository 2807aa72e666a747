"""One probe as captures along its path saw it: how far each of its packets came, and what was changed on the way.

Pure: packets in, words and positions out. A packet is followed through translations by what they leave alone: a TCP
SYN's sequence number, a datagram's data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kip_conformance.infra.machines.packets import Packet

__all__ = ["Rewrite", "Sighting", "Stop", "Trace", "Wave", "first_at", "furthest", "rewrites", "trace_of"]

Way = Literal["in", "out"]
Flow = tuple[str, int | None, str, int | None]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A packet seen at a vantage (a machine, a NIC, a router), on one of its interfaces."""

    vantage: str
    interface: str
    packet: Packet

    @property
    def way(self) -> Way:
        return "out" if self.packet.is_outgoing else "in"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a packet should be seen: coming in to a vantage or going out of it.

    With `beside`, only packets whose far end has another address count; with `only`, only those whose far end has
    this one. That tells the two visits apart that a path may pay to one vantage. With `interface`, only that one
    counts.
    """

    vantage: str
    way: Way
    interface: str = ""
    only: str = ""
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Wave:
    """The packets of one step of the exchange, such as the SYN or its answer."""

    name: str
    is_answer: bool
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A change of the packet's source between two stops: seen at `stop` (its index) for the first time."""

    stop: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Trace:
    """All sightings that belong to one probe, each list in the order of time."""

    requests: tuple[Sighting, ...]
    answers: tuple[Sighting, ...]
    errors: tuple[Sighting, ...]

    @property
    def resets(self) -> tuple[Sighting, ...]:
        return tuple(seen for seen in self.answers if "RST" in seen.packet.flags)

    def waves(self, protocol: str) -> tuple[Wave, ...]:
        """The steps in their order. A UDP exchange has two, a TCP one begins with the handshake."""
        request, answer = self.requests, tuple(seen for seen in self.answers if "RST" not in seen.packet.flags)
        if protocol == "udp":
            return Wave("datagram", False, request), Wave("answer", True, answer)
        return (
            Wave("SYN", False, tuple(seen for seen in request if "SYN" in seen.packet.flags)),
            Wave("answer to the SYN", True, tuple(seen for seen in answer if "SYN" in seen.packet.flags)),
            Wave("request", False, tuple(seen for seen in request if seen.packet.data)),
            Wave("answer", True, tuple(seen for seen in answer if seen.packet.data)),
        )

    def destinations(self) -> tuple[tuple[str, int | None], ...]:
        """Every address and port that the request was aimed at, in the order of time."""
        return tuple(dict.fromkeys((seen.packet.destination, seen.packet.destination_port) for seen in self.requests))


def trace_of(
    captures: Mapping[str, Iterable[tuple[str, Packet]]], sources: Iterable[str], port: int, protocol: str
) -> Trace:
    """What of the captures (vantage -> interface and packet) is the probe that left one of `sources` from `port`.

    A retransmission is the same probe; a second attempt of the prober, from the next port, too.
    """
    everything = sorted(
        (
            Sighting(vantage, interface, packet)
            for vantage, packets in captures.items()
            for interface, packet in packets
        ),
        key=lambda seen: seen.packet.time,
    )
    own, ports = frozenset(sources), (port, port + 1)
    relevant = [seen for seen in everything if seen.packet.protocol == protocol]
    marks = {
        _mark(seen.packet)
        for seen in relevant
        if seen.packet.source in own and seen.packet.source_port in ports and _mark(seen.packet) is not None
    }
    flows = {_flow(seen.packet) for seen in relevant if _mark(seen.packet) in marks}
    back = {(to, to_port, by, by_port) for by, by_port, to, to_port in flows} - flows
    return Trace(
        requests=tuple(seen for seen in relevant if _flow(seen.packet) in flows),
        answers=tuple(seen for seen in relevant if _flow(seen.packet) in back),
        errors=tuple(
            seen
            for seen in everything
            if seen.packet.quoted is not None and _flow(seen.packet.quoted) in (flows | back)
        ),
    )


def furthest(wave: Wave, stops: Sequence[Stop]) -> int:
    """The index of the last stop at which the wave was seen; -1 when nowhere."""
    return max((index for index, stop in enumerate(stops) if first_at(wave, stop) is not None), default=-1)


def first_at(wave: Wave, stop: Stop) -> Sighting | None:
    """The wave's first sighting at a stop, if there is one."""
    return next((seen for seen in wave.sightings if _is_at(seen, wave, stop)), None)


def rewrites(wave: Wave, stops: Sequence[Stop]) -> tuple[Rewrite, ...]:
    """Every change of the source address along the stops, in their order."""
    found: list[Rewrite] = []
    before = ""
    for index, stop in enumerate(stops):
        seen = first_at(wave, stop)
        if seen is not None and before and seen.packet.source != before:
            found.append(Rewrite(index, before, seen.packet.source))
        before = seen.packet.source if seen is not None else before
    return tuple(found)


def _is_at(seen: Sighting, wave: Wave, stop: Stop) -> bool:
    far = seen.packet.source if wave.is_answer else seen.packet.destination
    return (
        seen.vantage == stop.vantage
        and seen.way == stop.way
        and not seen.packet.is_misaddressed
        and (not stop.interface or seen.interface == stop.interface)
        and (not stop.only or far == stop.only)
        and (not stop.beside or far != stop.beside)
    )


def _mark(packet: Packet) -> object:
    """What no translation changes; None for a packet that has no such thing."""
    if packet.protocol == "tcp":
        return packet.sequence if packet.flags == {"SYN"} else None
    return packet.data or None


def _flow(packet: Packet) -> Flow:
    return packet.source, packet.source_port, packet.destination, packet.destination_port
