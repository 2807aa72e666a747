"""The status that a pod should have at the API server, kept so in the background: the newest wish wins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.provider import status
from kip_conformance.infra.provider.kube_client import STRATEGIC, KubeClient, Object, path_of

__all__ = ["StatusBoard"]

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE = 10.0


@dataclass(slots=True)
class StatusBoard:
    """`pod` gives the pod as it is known now; `moved` is set when its address changes."""

    kube: KubeClient
    pod: Callable[[], Object]
    moved: asyncio.Event
    wanted: status.Status | None = None
    _dirty: asyncio.Event = field(default_factory=asyncio.Event)
    _settled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pod_ip(self) -> str:
        """The pod's address as far as it is known; empty for none, and for a pod that is over."""
        known = self.wanted if self.wanted is not None else self.pod().get("status") or {}
        return "" if status.is_over(known) else str(known.get("podIP") or "")

    def want(self, wanted: status.Status) -> None:
        before, self.wanted = self.pod_ip, wanted
        if self.pod_ip != before:
            self.moved.set()
        self.look()

    def look(self) -> None:
        """The pod may be different now."""
        if self.wanted is not None and status.differs(self.wanted, self.pod()):
            self._settled.clear()
            self._dirty.set()
        else:
            self._settled.set()

    async def settled(self, within: float) -> bool:
        """Whether the API server has what was wanted, within so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self._settled.wait()
            return True
        except TimeoutError:
            return False

    async def run(self) -> None:
        pause = 0.1
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            wanted, pod = self.wanted, self.pod()
            if wanted is None:
                continue
            metadata = pod["metadata"]
            path = path_of("pods", metadata["name"], metadata["namespace"]) + "/status"
            try:
                await self.kube.patch(path, status.patch_of(wanted, pod), kind=STRATEGIC)
                pause = 0.1
                if not self._dirty.is_set():
                    self._settled.set()
            except ApiRefusal as error:
                if error.status in (404, 409):  # the pod is gone, or is another one by now
                    self._settled.set()
                    continue
                _LOG.warning("status of %s: %s", metadata["name"], error)
                self._dirty.set()
            except KipError as error:
                _LOG.info("status of %s: %s", metadata["name"], error)
                self._dirty.set()
            if self._dirty.is_set():
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
