"""Whether the service proxy's rules on all machines lead where they should. Reading one is service_rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kip_conformance.infra.machines.service_rules import Endpoint, read_endpoints
from kip_conformance.infra.targets.protocol import Machine, Place
from kip_conformance.infra.workloads.services import ServiceRef

__all__ = ["Led", "ProxyRules"]


@dataclass(frozen=True, slots=True)
class Led:
    """By machine, where the rules for a ClusterIP and port lead; None when there is no rule about it."""

    to: Mapping[str, frozenset[Endpoint] | None]

    def __str__(self) -> str:
        return "; ".join(f"{machine}: {_told(endpoints)}" for machine, endpoints in self.to.items())


class ProxyRules:
    """The rules of the service proxies of these machines, which run in `mode`."""

    def __init__(self, machines: Sequence[Machine], mode: str) -> None:
        self._machines = machines
        self._mode = mode

    def of(self, service: ServiceRef) -> Led:
        """Where they lead for a Service's port now. Raises HarnessError when they cannot be read."""
        return Led(
            {
                machine.name: read_endpoints(machine, self._mode, service.cluster_ip, service.port, service.protocol)
                for machine in self._machines
            }
        )

    @staticmethod
    def lead_to(places: Sequence[Place], service: ServiceRef) -> Callable[[Led], bool]:
        """Whether on every machine they lead to exactly these places, at the Service's target port."""
        expected = frozenset((place.address, service.target_port) for place in places)

        def on_every_machine(led: Led) -> bool:
            return all(endpoints == expected for endpoints in led.to.values())

        on_every_machine.__name__ = f"leading on every machine to exactly {_told(expected)}"
        return on_every_machine


def _told(endpoints: frozenset[Endpoint] | None) -> str:
    if endpoints is None:
        return "no rule"
    return ", ".join(f"{address}:{port}" for address, port in sorted(endpoints)) or "no endpoint"
