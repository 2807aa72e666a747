"""One pod from the first sight of it to its end: a cell is found or launched, told about the pod, and followed.

What is done is decided from the API server's pod and the cloud's instances alone, so that a provider that is started
again goes on where the last one was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass, field

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.provider import status
from kip_conformance.infra.provider.agent_client import AgentRefusal
from kip_conformance.infra.provider.board import StatusBoard
from kip_conformance.infra.provider.cloud import CloudRefusal
from kip_conformance.infra.provider.ending import end_cells, end_instances, remove_pod
from kip_conformance.infra.provider.events import reference
from kip_conformance.infra.provider.facilities import Facilities
from kip_conformance.infra.provider.fleet import Cell
from kip_conformance.infra.provider.following import End, Following, Outcome
from kip_conformance.infra.provider.http import NoAnswer
from kip_conformance.infra.provider.kube_client import Object
from kip_conformance.infra.provider.wishes import PREFIX, Impossible, Wishes, WrongAnnotation, wishes_of

__all__ = ["PodWorker"]

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE = 60.0
_KEPT_LOG = 64 << 10


@dataclass(slots=True)
class PodWorker:
    """`seen` and `gone` tell it what the API server says of its pod; `run` does the rest."""

    by: Facilities
    pod: Object
    board: StatusBoard = field(init=False)
    following: Following | None = None
    kept_logs: dict[str, bytes] = field(default_factory=dict)
    """The end of the log of each container of a pod that is over: its cell is gone, and people ask afterwards."""
    _is_gone: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _to_end: asyncio.Event = field(default_factory=asyncio.Event)
    _launching: asyncio.Task[Cell] | None = None
    _started_before: bool = False

    def __post_init__(self) -> None:
        self.board = StatusBoard(self.by.kube, lambda: self.pod, self.by.moved)
        self.seen(self.pod)

    @property
    def name(self) -> str:
        metadata = self.pod["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    def seen(self, pod: Object) -> None:
        """The pod is new or different."""
        self.pod = pod
        self._changed.set()
        self.board.look()
        if pod["metadata"].get("deletionTimestamp"):
            self._to_end.set()

    def gone(self) -> None:
        """The pod is not there any more, whoever removed it."""
        self._is_gone = True
        self._to_end.set()

    async def run(self) -> None:
        """Returns when nothing of the pod is left, at the API server and in the cloud."""
        posting = asyncio.create_task(self.board.run())
        living = asyncio.create_task(self._live())
        ending = asyncio.create_task(self._to_end.wait())
        try:
            await ending
            living.cancel()
            await asyncio.wait([living])
            if self._launching is not None:
                # What was asked of the cloud is answered before it is ended: nothing is lost.
                await asyncio.wait([self._launching])
            await end_cells(self.by, self.board, self.pod, is_gone=self._is_gone)
            if not self._is_gone:
                await remove_pod(self.by, self.pod)
        finally:
            for task in (living, ending, posting):
                task.cancel()

    async def _live(self) -> None:
        """Keep the pod on a cell until it is over. What this provider itself does wrong is said and tried again."""
        pause = 1.0
        while True:
            try:
                await self._once()
                return
            except asyncio.CancelledError:
                raise
            except KipError as error:
                self._say("FailedCell", str(error))
            except Exception as error:
                _LOG.exception("%s", self.name)
                self._say("ProviderError", f"{type(error).__name__}: {error}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _once(self) -> None:
        if status.is_over(self.pod.get("status") or {}):
            await self._end_instances()
            return
        while True:
            try:
                wishes = wishes_of(self.pod, self.by.config)
            except Impossible as error:
                self._fail("Unsupported", str(error))
                return
            except WrongAnnotation as error:
                self._wait_for("InvalidAnnotation", str(error))
                await self._other_pod()
                continue
            cell = await self._cell(wishes)
            if cell is None:
                continue
            await self.by.routes.ensure(cell, wishes.routes)
            end = await self._follow(cell, wishes)
            if await self._is_finished(cell, end):
                return

    async def _follow(self, cell: Cell, wishes: Wishes) -> End:
        self.following = Following(
            self.by, cell, lambda: self.pod, self._changed, self.board, wishes.healthy_timeout, cell.restarts
        )
        return await self.following.run()

    async def _is_finished(self, cell: Cell, end: End) -> bool:
        """What comes of the end of a cell: nothing more for this pod, or another cell."""
        if end.outcome is Outcome.OVER:
            await self.board.settled(within=30)
            await self._keep_logs()
            await self._end_instances()
            return True
        if end.outcome is Outcome.REFUSED:
            self._fail("Unsupported", end.why)
            await self._end_instances()
            return True
        self._say("CellLost", f"cell {cell.instance} is lost: {end.why}")
        if self.pod["spec"].get("restartPolicy") == "Never":
            self._fail("CellLost", end.why)
            await self._end_instances()
            return True
        self.board.want(status.waiting(self.pod, self.by.host_ip, "CellLost", end.why))
        # Before there is another one: two cells of one pod must not run at the same time.
        await self._end_instances(until_dead=True)
        return False

    async def _keep_logs(self) -> None:
        if self.following is None:
            return
        spec = self.pod["spec"]
        for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
            with contextlib.suppress(NoAnswer, AgentRefusal):
                self.kept_logs[container["name"]] = await self.following.agent.log_tail(container["name"], _KEPT_LOG)

    async def _end_instances(self, *, until_dead: bool = False) -> None:
        cells = self.by.fleet.of_pod(self.uid)
        await end_instances(self.by, cells)
        for cell in cells if until_dead else []:
            await self.by.fleet.until(cell.instance, lambda one: one is None or one.state == "terminated")

    async def _cell(self, wishes: Wishes) -> Cell | None:
        """The pod's cell, found or launched; None: the pod has changed meanwhile, think again."""
        if alive := self.by.fleet.of_pod(self.uid):
            await end_instances(self.by, alive[1:])
            return alive[0]
        if wishes.routes and (taken := await self.by.routes.taken(wishes.routes)):
            self._wait_for("InvalidAnnotation", f"{PREFIX}cloud-route: {taken}")
            await self._other_pod()
            return None
        self.board.want(status.waiting(self.pod, self.by.host_ip, "ContainerCreating"))
        failures = 0
        while True:
            await self.by.starts.turn()
            restarts = {
                one["name"]: one["restartCount"]
                for name in ("initContainerStatuses", "containerStatuses")
                for one in (self.board.wanted or {}).get(name) or []
                if one["restartCount"]
            }
            self._launching = asyncio.create_task(self.by.launcher.launch(self.pod, wishes, restarts))
            try:
                cell = await asyncio.shield(self._launching)
            except CloudRefusal as error:
                failures += 1
                pause = _pause_after(error, failures)
                self._say("FailedCreateCell", f"no instance: {error}; tried again in {pause:.0f} s")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._other_pod()
                        return None
                continue
            finally:
                if self._launching.done():
                    self._launching = None
            addresses = f"{cell.primary}, pod {cell.secondary}" if cell.secondary else cell.primary
            message = f"instance {cell.instance}, address {addresses}"
            self.by.events.say(reference(self.pod), "CellCreated", message)
            return cell

    async def _other_pod(self) -> None:
        """Until the pod's annotations are other than they are now."""
        before = self.pod["metadata"].get("annotations")
        while self.pod["metadata"].get("annotations") == before:
            self._changed.clear()
            await self._changed.wait()

    def _say(self, reason: str, message: str) -> None:
        self.by.events.say(reference(self.pod), reason, message, warning=True)

    def _wait_for(self, reason: str, message: str) -> None:
        self._say(reason, message)
        self.board.want(status.waiting(self.pod, self.by.host_ip, reason, message))

    def _fail(self, reason: str, message: str) -> None:
        self._say(reason, message)
        self.board.want(status.failed(self.pod, self.by.host_ip, reason, message))


def _pause_after(error: CloudRefusal, failures: int) -> float:
    """Longer each time, and not for all pods at once."""
    longest = 10.0 if error.is_throttled else _LONGEST_PAUSE
    return min(longest, 0.5 * 2.0**failures) * random.uniform(0.7, 1.0)
