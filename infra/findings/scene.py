"""What a walk starts from: the case that failed, and the cluster it failed in. Values, and the clock that bounds it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.findings.looks import View
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.protocol import Machine, NetworkPoint, Place

__all__ = ["Case", "Deadline", "OutOfTime", "Scene"]


class OutOfTime(HarnessError):
    """The walk has used up its time; what it knows by then is what it says."""


class Deadline:
    """`seconds` from now. Every step of a walk asks for its share of what is left."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._end = clock, clock() + seconds

    @property
    def left(self) -> float:
        return self._end - self._clock()

    def share(self, most: float = 3.0) -> float:
        """Seconds that a step may take, `most` at best. Raises OutOfTime when there are none."""
        if self.left <= 0.05:
            raise OutOfTime("ran out of time")
        return min(most, self.left)


@dataclass(frozen=True, slots=True)
class Case:
    """A pair that was not as expected: where from, the column it was in, what was probed, and what was seen."""

    client: Place
    server: str
    target: ProbeTarget
    expected: str
    observation: Observation

    @property
    def is_never_chosen(self) -> bool:
        """One of the peers that a Service chooses among was never met: no probe of ours shows that."""
        return self.observation.kind == "wrong_peer" and self.observation.detail.startswith("never chosen")

    def is_like(self, seen: Observation) -> bool:
        """Whether another observation shows the same defect."""
        if self.observation.is_open and seen.is_open:
            return seen.seen_source == self.observation.seen_source
        return seen.is_open == self.observation.is_open


@dataclass(frozen=True, slots=True)
class Scene:
    """The cluster as a walk sees it. `mode` is the service proxy's, `timeout` the seconds of one probe."""

    driver: Driver
    machines: Mapping[str, Machine]
    network_between: Callable[[str, str], Sequence[NetworkPoint]]
    mode: str
    timeout: float
    deadline: Deadline
    views: dict[str, View] = field(default_factory=dict)

    @property
    def places(self) -> Mapping[str, Place]:
        return {place.name: place for place in self.driver.places}

    def place_at(self, address: str, names: Sequence[str]) -> Place | None:
        """The place of that address, one of `names` before all others."""
        those = [self.places[name] for name in names if name in self.places]
        return next((place for place in (*those, *self.places.values()) if place.address == address), None)

    def machine_at(self, address: str) -> str:
        """The machine that has an address; empty when none has."""
        return next((name for name, machine in self.machines.items() if address in machine.addresses), "")

    def machine_view(self, name: str) -> View | None:
        """The vantage that is a machine; None for one that cannot be looked into."""
        if name in self.machines and name not in self.views:
            self.views[name] = View("machine", name, "node", self.machines[name])
        return self.views.get(name)

    def network_views(self, client: str, server: str) -> tuple[str, ...]:
        """The keys of the pieces of network between two machines, each of them a vantage from now on."""
        keys = []
        for point in self.network_between(client, server) if client != server else ():
            view = View(point.name, point.where, point.owner, point.machine, is_network=True)
            self.views.setdefault(view.key, view)
            keys.append(view.key)
        return tuple(keys)
