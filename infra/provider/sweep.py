"""What is done every minute, whatever happens: instances of no pod are ended, the security group is repaired.

Source: Kip's own sweep: an unknown instance with the controller's tag is ended when two looks, 60 seconds apart, found
it unknown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.provider.ending import end_instances
from kip_conformance.infra.provider.facilities import Facilities
from kip_conformance.infra.provider.pods import Pods

__all__ = ["Sweep"]

_LOG = logging.getLogger(__name__)
_LOOKS = 2


@dataclass(slots=True)
class Sweep:
    """`every` is in seconds."""

    by: Facilities
    pods: Pods
    every: float = 60.0
    _unknown: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        while True:
            await _carefully(self.by.launcher.repair_group)
            await _carefully(self.orphans)
            await asyncio.sleep(self.every)

    async def orphans(self) -> list[str]:
        """Look once; returns the instances that were ended."""
        await self.pods.followed.listed.wait()
        await self.by.fleet.refresh()
        alive = {name: cell for name, cell in self.by.fleet.cells.items() if cell.is_alive}
        unknown = [name for name, cell in alive.items() if cell.uid not in self.pods.workers]
        self._unknown = {name: self._unknown.get(name, 0) + 1 for name in unknown}
        ended = [name for name, looks in self._unknown.items() if looks >= _LOOKS]
        for name in ended:
            _LOG.warning("instance %s (%s) belongs to no pod and is ended", name, alive[name].pod)
        await end_instances(self.by, [alive[name] for name in ended])
        # What was ended while the cloud did not let its routes be removed.
        await self.by.routes.remove([cell for cell in self.by.fleet.cells.values() if not cell.is_alive])
        return ended


async def _carefully(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except KipError as error:
        _LOG.warning("%s", error)
