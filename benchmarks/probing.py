"""The matrix of probes that is measured, and what counts as a wrong answer in it. Where it runs is elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.judge.grid import Grid
from kip_conformance.infra.probe.driver import Driver, ProbeTarget
from kip_conformance.infra.probe.observation import DENIED_KINDS, NOT_VOUCHED, REQUEST_ARRIVED
from kip_conformance.infra.targets.protocol import Place, Protocol4

__all__ = ["Result", "all_denied", "all_open", "judged", "repeat_for", "targets_of"]

PROTOCOLS: tuple[Protocol4, ...] = ("tcp", "udp")


@dataclass(frozen=True, slots=True)
class Result:
    """One matrix: its wall time in seconds, the number of probes, the wrong ones, and an example of those."""

    seconds: float
    probes: int
    wrong: int
    example: str = ""
    kinds: str = ""

    @property
    def rate(self) -> float:
        """Probes a second."""
        return self.probes / self.seconds


def targets_of(places: Sequence[Place], repeat: int = 1, address: str = "") -> list[ProbeTarget]:
    """Every listener of every place, `repeat` times, under names of their own: a place then probes itself as well.

    With `address` all are sought there and not at their own.
    """
    return [
        ProbeTarget(
            f"{place.name}-{protocol}-{port}-{turn}", address or place.address, port, protocol, (place.name,), port
        )
        for turn in range(repeat)
        for place in places
        for port in place.ports
        for protocol in PROTOCOLS
    ]


def all_open(driver: Driver, *, repeat: int = 1, timeout: float = 1.0) -> Result:
    """Every place probes every listener. Wrong is whatever is not open, answered by another, or from another source."""
    grid, seconds = _asked(driver, targets_of(driver.places, repeat), timeout)
    places = {place.name: place for place in driver.places}
    wrong = [
        f"{client} -> {server}: {seen}"
        for (client, server), seen in grid.items()
        if not seen.is_open
        or seen.peer != server.partition("-")[0]
        or (client != seen.peer and seen.seen_source not in places[client].sources)
    ]
    return _result(grid, seconds, wrong)


def all_denied(driver: Driver, *, timeout: float = 1.0, address: str = "") -> Result:
    """The same while everything is dropped, or at an `address` that never answers. Wrong is whatever is no denial."""
    grid, seconds = _asked(driver, targets_of(driver.places, address=address), timeout)
    wrong = [
        f"{client} -> {server}: {seen}"
        for (client, server), seen in grid.items()
        if seen.kind not in DENIED_KINDS or REQUEST_ARRIVED in seen.detail or NOT_VOUCHED in seen.detail
    ]
    return _result(grid, seconds, wrong)


def judged(result: Result) -> Result:
    """The same result. Raises HarnessError when it holds wrong answers: its time then means nothing."""
    if result.wrong:
        raise HarnessError(f"{result.wrong} of {result.probes} probes were wrong: {result.example}")
    return result


def repeat_for(places: Sequence[Place]) -> int:
    """How often every listener is asked so that it comes to at least 10,000 probes."""
    return -(-10_000 // (len(places) * len(targets_of(places))))


def _asked(driver: Driver, targets: Sequence[ProbeTarget], timeout: float) -> tuple[Grid, float]:
    start = time.perf_counter()
    # The protocol is each target's own; what is said here is the grid's label.
    grid = driver.all(driver.places, targets, "tcp", timeout=timeout)
    return grid, time.perf_counter() - start


def _result(grid: Grid, seconds: float, wrong: Sequence[str]) -> Result:
    kinds = Counter(seen.kind for seen in grid.values())
    counts = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
    return Result(seconds, len(grid), len(wrong), wrong[0] if wrong else "", counts)
