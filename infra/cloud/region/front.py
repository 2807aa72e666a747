"""Which address of the region is what service, and which request goes where."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from kip_conformance.infra.cloud.region import relay
from kip_conformance.infra.cloud.region.registry import Registry, layer_bucket

__all__ = ["ADDRESSES", "Front"]

ADDRESSES = {
    "s3": "192.0.2.10",
    "ec2": "192.0.2.70",
    "sts": "192.0.2.71",
    "ecr.api": "192.0.2.72",
    "ecr.dkr": "192.0.2.73",
}
"""Where each service is, by the last words of its endpoint service's name. S3 is in the range of its prefix list."""

_SIGNED_AS = {"s3": "s3", "ec2": "ec2", "sts": "sts", "ecr.api": "ecr"}


@dataclass(frozen=True, slots=True)
class Front:
    """`api` is the API's unix socket for machines."""

    api: str
    registry: Registry

    def of(self, service: str) -> relay.Decide:
        """What decides on the requests to the address of a service."""
        if service == "ecr.dkr":
            return self.registry.at_registry
        return self._s3 if service == "s3" else partial(self._api, _SIGNED_AS[service])

    async def _s3(self, head: relay.Head) -> relay.Answer | relay.Onward:
        if head.get("host").startswith(f"{layer_bucket(self.registry.region)}.s3."):
            return await self.registry.at_bucket(head)
        return await self._api("s3", head)

    async def _api(self, service: str, head: relay.Head) -> relay.Answer | relay.Onward:
        if not head.words[1].startswith("/"):
            return relay.problem(400, "the target of a request begins with a slash")
        own = frozenset(("x-kip-service", "x_kip_service"))
        return relay.Onward(self.api, head.words[1], (("X-Kip-Service", service),), own)
