"""What a probe is aimed at, and the handle that lets a test write `client >> server.tcp(8080)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kip_conformance.infra.targets.protocol import Place, Protocol4

if TYPE_CHECKING:
    from kip_conformance.infra.probe.driver import Driver
    from kip_conformance.infra.probe.observation import Observation

__all__ = ["ProbeTarget", "Station"]


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """An address (or name), a port and a protocol, and the places of which one is expected to answer there.

    A target without peers can be probed, but nothing vouches for its listener, so its silence is never a denial.
    `backend_port` is the port on which the peers themselves listen, where it is known (a Service's targetPort); else
    all their ports have to be alive before an unanswered probe counts.
    """

    name: str
    address: str
    port: int
    protocol: Protocol4
    peers: tuple[str, ...]
    backend_port: int | None = None


@dataclass(frozen=True, slots=True)
class Station:
    """A place seen from a test: probes start here with `>>`, and `tcp` and `udp` name its own listeners."""

    place: Place
    driver: Driver
    timeout: float = 1.0

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def sources(self) -> tuple[str, ...]:
        return self.place.sources

    def tcp(self, port: int | None = None) -> ProbeTarget:
        """The place's TCP listener on a port, by default its first."""
        return self._listener("tcp", port)

    def udp(self, port: int | None = None) -> ProbeTarget:
        """The place's UDP listener on a port, by default its first."""
        return self._listener("udp", port)

    def _listener(self, protocol: Protocol4, port: int | None) -> ProbeTarget:
        number = port or self.place.ports[0]
        return ProbeTarget(
            self.place.name, self.place.address, number, protocol, peers=(self.place.name,), backend_port=number
        )

    def __rshift__(self, target: ProbeTarget) -> Observation:
        """One probe from here. Raises HarnessError when nothing can be concluded from it."""
        return self.driver.one(self.place, target, timeout=self.timeout)
