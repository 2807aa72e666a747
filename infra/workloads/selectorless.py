"""Services without a selector, whose EndpointSlices a row writes itself, over pods of any namespace."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from kip_conformance.infra.targets.protocol import Place, Protocol4
from kip_conformance.infra.workloads.objects import Objects
from kip_conformance.infra.workloads.services import PortPlan, ServiceRef, Services

__all__ = ["Selectorless"]


class Selectorless:
    """Makes Services in `namespace` that have no selector, and the slices behind them; all go with their makers.

    Every method raises ApiRefusal when the API server says no.
    """

    def __init__(self, services: Services, objects: Objects, namespace: str) -> None:
        self._services = services
        self._objects = objects
        self._numbers = itertools.count(1)
        self.namespace = namespace

    def service(self, endpoints: Sequence[Place], protocol: Protocol4) -> ServiceRef:
        """A Service on port 80 that nothing stands behind yet; `endpoints` are the places expected there in the end."""
        return self._make(endpoints, PortPlan(80, endpoints[0].ports[0], protocol))[0]

    def with_ports(self, behind: Mapping[PortPlan, Sequence[Place]]) -> tuple[ServiceRef, ...]:
        """One Service with several ports, and behind each port, by a slice of its own, these places."""
        bare = self._make(next(iter(behind.values())), *behind)
        for service, places in zip(bare, behind.values(), strict=True):
            self.add_slice(service, places)
        return tuple(service.over(places) for service, places in zip(bare, behind.values(), strict=True))

    def _make(self, endpoints: Sequence[Place], *ports: PortPlan) -> tuple[ServiceRef, ...]:
        return self._services.make(endpoints, *ports, selector={}, namespace=self.namespace, name="by-hand")

    def add_slice(self, service: ServiceRef, places: Sequence[Place]) -> str:
        """Put these places behind the Service by one more EndpointSlice; returns the slice's name."""
        manifest = service.slice(places, name=f"{next(self._numbers)}")
        return str(self._objects.create(manifest)["metadata"]["name"])

    def drop_slice(self, name: str) -> None:
        """Delete one of the slices."""
        self._objects.delete("EndpointSlice", name, self.namespace)
