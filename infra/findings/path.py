"""The way that a probe should take, as stops where a capture should see it: there, and back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kip_conformance.infra.findings.trace import Stop

__all__ = ["Leg", "way_back", "way_there"]


@dataclass(frozen=True, slots=True)
class Leg:
    """A machine on the way, and the keys of the pieces of network that lie before it."""

    machine: str
    before: tuple[str, ...] = ()


def way_there(
    legs: Sequence[Leg],
    *,
    client_interface: str | None,
    server_interface: str | None,
    translated_at: int | None,
    address: str,
) -> tuple[Stop, ...]:
    """The stops from the client to the server, over the machines of `legs`.

    `client_interface` and `server_interface` are the machine's ends of the pods' links: None for a place in the host's
    own network namespace, empty when the pod's is not known. `translated_at` is the index of the leg whose machine
    turns `address` (a Service's) into an endpoint; before it only packets to that address count, after it no others.
    """
    stops: list[Stop] = []
    for index, leg in enumerate(legs):
        is_first, is_last = index == 0, index == len(legs) - 1
        before = Stop("", "in") if translated_at is None else _to(address, is_after=translated_at < index)
        after = Stop("", "in") if translated_at is None else _to(address, is_after=translated_at <= index)
        for key in leg.before:
            stops += [replace(before, vantage=key), replace(before, vantage=key, way="out")]
        if not is_first:
            stops.append(replace(before, vantage=leg.machine))
        elif client_interface is not None:
            stops.append(replace(before, vantage=leg.machine, interface=client_interface))
        if not is_last:
            stops.append(replace(after, vantage=leg.machine, way="out"))
        elif server_interface is not None:
            stops.append(replace(after, vantage=leg.machine, way="out", interface=server_interface))
        elif is_first and client_interface is None:
            stops.append(replace(after, vantage=leg.machine, way="out"))
    return tuple(stops)


def way_back(stops: Sequence[Stop]) -> tuple[Stop, ...]:
    """The same way for the answer: what came in goes out, and the last is the first."""
    return tuple(replace(stop, way="out" if stop.way == "in" else "in") for stop in reversed(stops))


def _to(address: str, *, is_after: bool) -> Stop:
    return Stop("", "in", beside=address) if is_after else Stop("", "in", only=address)
