"""The end of a pod: its processes by the agent, in the time that it has; then its instances; then the object.

The object goes last and only when nothing of the pod can run any more: a StatefulSet's next pod of the same name counts
on that ("Kubernetes documentation, Pod termination").
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Sequence

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.provider import status
from kip_conformance.infra.provider.agent_client import AgentClient, AgentRefusal
from kip_conformance.infra.provider.board import StatusBoard
from kip_conformance.infra.provider.facilities import Facilities
from kip_conformance.infra.provider.fleet import Cell
from kip_conformance.infra.provider.http import NoAnswer
from kip_conformance.infra.provider.kube_client import Object, path_of

__all__ = ["end_cells", "end_instances", "grace_left", "remove_pod"]

_LOG = logging.getLogger(__name__)
_OVERTIME = 5.0
"""Seconds that an agent has beyond the pod's own to say that all has ended."""


async def end_cells(by: Facilities, board: StatusBoard, pod: Object, *, is_gone: bool) -> None:
    """End the pod's cells. One that did not say that its processes have ended is waited for until it is terminated."""
    cells = by.fleet.of_pod(pod["metadata"]["uid"])
    stopped = set()
    if not is_gone and not status.is_over(pod.get("status") or {}):
        for cell in cells:
            if await _stop(by, board, pod, cell):
                stopped.add(cell.instance)
    await end_instances(by, cells)
    for cell in cells:
        if cell.instance not in stopped:
            await by.fleet.until(cell.instance, lambda one: one is None or one.state == "terminated")


async def end_instances(by: Facilities, cells: Sequence[Cell]) -> None:
    """End instances with all that leads to them; returns when the cloud has accepted it."""
    await by.routes.remove(cells)
    await by.fleet.terminate([cell.instance for cell in cells])


async def remove_pod(by: Facilities, pod: Object) -> None:
    """Remove the object, this one and no other of its name; tried until the API server has done it."""
    metadata = pod["metadata"]
    options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
    pause = 0.2
    while True:
        try:
            await by.kube.delete(path_of("pods", metadata["name"], metadata["namespace"]), options)
            return
        except KipError as error:
            _LOG.warning("%s: %s", metadata["name"], error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10.0)


def grace_left(pod: Object, now: datetime.datetime) -> float:
    """Seconds that the pod's processes still have, by the time of its deletion."""
    metadata = pod["metadata"]
    grace = float(metadata.get("deletionGracePeriodSeconds") or 0)
    if not metadata.get("deletionTimestamp"):
        return grace
    end = datetime.datetime.fromisoformat(metadata["deletionTimestamp"].replace("Z", "+00:00"))
    return max(0.0, min(grace, (end - now).total_seconds()))


async def _stop(by: Facilities, board: StatusBoard, pod: Object, cell: Cell) -> bool:
    """Whether the agent has said that nothing of the pod runs any more."""
    agent = AgentClient(by.address_of(cell), cell.primary, by.agent_tls)
    agent.http.connect_timeout = 2.0
    grace = grace_left(pod, datetime.datetime.now(datetime.UTC))
    version = 0
    try:
        async with asyncio.timeout(grace + _OVERTIME):
            await agent.stop(grace)
            while True:
                told = await agent.status(version, 5.0)
                version = int(told["version"])
                if told.get("uid") not in (None, "", pod["metadata"]["uid"]):
                    return True
                said = told.get("status") or {}
                if said.get("containerStatuses"):
                    board.want(status.from_agent(pod, said, by.host_ip, cell.restarts))
                if not status.runs(said):
                    await board.settled(within=2.0)
                    return True
    except (NoAnswer, AgentRefusal, TimeoutError, KeyError, ValueError) as error:
        _LOG.info("%s: cell %s did not stop in order: %s", pod["metadata"]["name"], cell.instance, error)
        return False
    finally:
        agent.close()
