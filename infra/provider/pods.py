"""All pods of the virtual node: a worker for each, from what the API server says."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from kip_conformance.infra.provider.facilities import Facilities
from kip_conformance.infra.provider.kube_client import Object, path_of
from kip_conformance.infra.provider.watching import Followed
from kip_conformance.infra.provider.worker import PodWorker

__all__ = ["Pods"]

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Pods:
    """Workers by the uid of their pod."""

    by: Facilities
    workers: dict[str, PodWorker] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    followed: Followed = field(init=False)

    def __post_init__(self) -> None:
        selector = f"fieldSelector=spec.nodeName%3D{self.by.node}"
        self.followed = Followed(self.by.kube, path_of("pods"), selector, self._changed, self._gone)

    async def run(self) -> None:
        """Follow the API server for ever."""
        try:
            await self.followed.run()
        finally:
            for task in self._tasks:
                task.cancel()

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of the pod of that name; None when this node has none."""
        found = [worker for worker in self.workers.values() if worker.name == f"{namespace}/{name}"]
        return found[-1] if found else None

    def addresses(self) -> list[tuple[Object, str]]:
        """Each pod with the address that it has now; empty for none."""
        return [(worker.pod, worker.board.pod_ip) for worker in self.workers.values()]

    def _changed(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if worker := self.workers.get(uid):
            worker.seen(pod)
            return
        worker = self.workers[uid] = PodWorker(self.by, pod)
        self.by.moved.set()
        task = asyncio.create_task(self._work(uid, worker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _gone(self, pod: Object) -> None:
        if worker := self.workers.get(pod["metadata"]["uid"]):
            worker.gone()

    async def _work(self, uid: str, worker: PodWorker) -> None:
        try:
            await worker.run()
        except asyncio.CancelledError:
            raise
        except Exception:
            _LOG.exception("the worker of %s ended", worker.name)
        finally:
            self.workers.pop(uid, None)
            self.by.moved.set()
