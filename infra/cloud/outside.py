"""What is around the VPCs and no part of the cloud's API: the internet's machines, the region's services, sites.

The API knows a customer gateway by its public address and a service by its name; here is who that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kip_conformance.infra.cloud.facts import Upstream
from kip_conformance.infra.fabric.state import Host, Lan

__all__ = ["OUTSIDE", "SERVICES", "Outside"]

OUTSIDE = Lan("outside", "198.51.100.0/24", is_public=True)
"""A web server, a registry and a resolver that nobody of the cloud runs (TEST-NET-2 of RFC 5737)."""

SERVICES = Lan("services", "192.0.2.0/24", is_public=True)
"""The region's own services. The first quarter of it is what the prefix list of S3 holds (TEST-NET-1 of RFC 5737)."""


@dataclass(frozen=True, slots=True)
class Outside:
    """`services` are addresses by the last words of an endpoint service's name, such as `s3` or `ecr.api`.

    `customers` are machines by the public address of their customer gateway. `upstream` answers what the VPCs' resolver
    does not know itself; None: nobody does.
    """

    lans: tuple[Lan, ...] = (OUTSIDE, SERVICES)
    hosts: tuple[Host, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    customers: Mapping[str, str] = field(default_factory=dict)
    upstream: Upstream | None = None

    def address_of(self, service: str) -> str:
        """The address of an endpoint service (`com.amazonaws.REGION.ecr.api`); empty when nobody serves it here."""
        return next((at for name, at in self.services.items() if service.endswith(f".{name}")), "")
