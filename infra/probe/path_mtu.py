"""Whether whole packets pass between places: the largest that should, and one that is larger. Values and one batch."""

from __future__ import annotations

from collections.abc import Sequence

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.judge.grid import Grid
from kip_conformance.infra.probe.answers import SizeAnswer
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.targets.protocol import Place

__all__ = ["interface_mtu", "judge_sizes", "whole_packets"]

_LARGER = 28
"""Bytes above the fit: more than a header's worth of rounding, and still below the next common MTU."""


def interface_mtu(driver: Driver, place: Place) -> int:
    """The MTU, in bytes, of the place's interface that carries its address. Raises HarnessError when none does."""
    for interface in driver.addresses(place):
        if any(address.partition("/")[0] == place.address for address in interface.addresses):
            return interface.mtu
    raise HarnessError(f"no interface of {place.name} carries {place.address}: its MTU is not known")


def whole_packets(
    driver: Driver, clients: Sequence[Place], servers: Sequence[Place], *, declared: int | None, timeout: float
) -> Grid:
    """Two packets with "don't fragment" from every client to every other server; see judge_sizes.

    The first has the size of the smaller of both interfaces' MTU and the path MTU that the target declares, if any;
    the second is larger. Bytes with the IPv4 header. Raises HarnessError when a prober does not reply.
    """
    mtus = {place.name: interface_mtu(driver, place) for place in dict.fromkeys((*clients, *servers))}
    pairs = [(client, server) for client in clients for server in servers if client.name != server.name]
    fits = [min(mtus[one.name], mtus[other.name], declared or 65535) for one, other in pairs]
    questions = [
        (
            client,
            {
                "op": "mtu", "host": server.address, "port": server.ports[0],
                "sizes": [fit, min(fit + _LARGER, 65535)], "timeout": timeout,
            },
        )
        for (client, server), fit in zip(pairs, fits, strict=True)
    ]  # fmt: skip
    replies = driver.ask_all(questions, wait=2 * timeout)
    seen = {
        (client.name, server.name): judge_sizes(*(SizeAnswer(**raw) for raw in reply["answers"]))
        for (client, server), reply in zip(pairs, replies, strict=True)
    }
    return driver.grid_of(seen, "udp", title="whole packets")


def judge_sizes(fit: SizeAnswer, larger: SizeAnswer) -> Observation:
    """`open` with the path MTU when the fit passed and the larger one passed or drew "fragmentation needed"."""
    if fit.outcome != "passes":
        return _denial(fit, f"{fit.size} bytes with DF: {_told(fit)}")
    if larger.outcome == "passes":
        return Observation("open", fit.peer, rtt=fit.rtt, detail=f"path MTU at least {larger.size}")
    if larger.outcome == "fragmentation-needed":
        where = "by the client itself" if larger.teller == "local" else f"by {larger.teller}"
        return Observation("open", fit.peer, rtt=fit.rtt, detail=f"path MTU {larger.mtu} (told {where})")
    return _denial(larger, f"{fit.size} bytes with DF pass, {larger.size} vanish: {_told(larger)}")


def _told(answer: SizeAnswer) -> str:
    if answer.outcome == "silent":
        return "no answer and no word from the path (a black hole)"
    if answer.outcome == "fragmentation-needed":
        return f"fragmentation needed, MTU {answer.mtu}, says {answer.teller}"
    return " ".join(filter(None, [answer.outcome, answer.detail]))


def _denial(answer: SizeAnswer, detail: str) -> Observation:
    kinds = {"refused": "refused", "reset": "reset", "silent": "timeout", "timeout": "timeout"}
    return Observation(kinds.get(answer.outcome, "unreachable"), detail=detail)  # type: ignore[arg-type]
