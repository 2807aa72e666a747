"""NodePorts as the API server gives them out: its range, who has which, and what it says to a number that is asked for.

A Service that is made here to hear what the API server says is deleted at once. (A dry run would not be told: the
server's allocator accepts every number then.) Services that a row uses are services.py.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import ApiRefusal, KubeApi
from kip_conformance.infra.targets.protocol import Protocol4
from kip_conformance.infra.workloads.services import RESIDENTS

__all__ = ["HeldPort", "NodePorts", "PortRange", "range_in"]

_RANGE = re.compile(r"range of valid ports is (\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class PortRange:
    """The numbers from `first` to `last`, both included."""

    first: int
    last: int

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.first <= number <= self.last

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class HeldPort:
    """A NodePort that a Service has; `service` is namespace/name."""

    number: int
    protocol: str
    service: str

    def __str__(self) -> str:
        return f"{self.protocol} {self.number} of {self.service}"


class NodePorts:
    """Asks one API server about NodePorts. Raises HarnessError when it does not answer."""

    def __init__(self, kubeconfig: Path, *, labels: Mapping[str, str]) -> None:
        self._api = KubeApi(kubeconfig)
        self._labels = dict(labels)

    def refusal(self, number: int, protocol: Protocol4) -> ApiRefusal | None:
        """What the API server says against a new Service with this NodePort; None when it would take it."""
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"generateName": "node-port-", "namespace": RESIDENTS, "labels": self._labels},
            "spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": protocol.upper(), "nodePort": number}]},
        }
        try:
            made = self._api.create(service)
        except ApiRefusal as refusal:
            return refusal
        self._api.delete("Service", made["metadata"]["name"], RESIDENTS)
        return None

    def range(self) -> PortRange:
        """The API server's range, as it tells it to who asks for port 1. Raises HarnessError when it tells none."""
        refusal = self.refusal(1, "tcp")
        found = range_in(str(refusal))
        if found is None:
            raise HarnessError(f"the API server named no range of NodePorts when it was asked for port 1: {refusal}")
        return found

    def held(self) -> tuple[HeldPort, ...]:
        """Every NodePort of every Service."""
        return tuple(
            HeldPort(int(port["nodePort"]), port.get("protocol", "TCP").lower(), _name(service))
            for service in self._api.list("Service")
            for port in service["spec"].get("ports") or ()
            if port.get("nodePort")
        )

    def shared(self) -> tuple[str, ...]:
        """Every NodePort that two Services have on one protocol, with their names."""
        owners: dict[tuple[int, str], list[HeldPort]] = defaultdict(list)
        for port in self.held():
            owners[port.number, port.protocol].append(port)
        return tuple(" and ".join(map(str, ports)) for ports in owners.values() if len(ports) > 1)

    def by_hand(self, protocol: Protocol4) -> int:
        """A free number that nobody is given who does not ask for it, another one for each protocol.

        The API server allocates the first numbers of its range last (KEP-3668, "Reserve NodePort ranges").
        """
        known, taken = self.range(), {port.number for port in self.held()}
        numbers = range(known.first + (protocol == "udp"), known.last + 1, 2)
        return next(number for number in numbers if number not in taken)


def range_in(message: str) -> PortRange | None:
    """The range that the API server names when it refuses a number outside of it."""
    found = _RANGE.search(message)
    return PortRange(int(found.group(1)), int(found.group(2))) if found else None


def _name(service: dict[str, dict[str, str]]) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"
