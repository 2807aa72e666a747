"""Events on pods and on the node, as kubelet records them: the same one again is counted, not repeated.

Written in the background and in order; an event that cannot be written is a line in the log, never a reason to stop.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import logging
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.provider.kube_client import KubeClient, Object, path_of

__all__ = ["Events", "reference"]

_LOG = logging.getLogger(__name__)
_COMPONENT = "kip"
_MESSAGE_LIMIT = 1024
_REMEMBERED = 500


def reference(item: Object, kind: str = "Pod", field_path: str = "") -> dict[str, str]:
    """What an event is about."""
    metadata = item["metadata"]
    about = {"apiVersion": "v1", "kind": kind, "name": metadata["name"], "uid": metadata.get("uid", "")}
    about |= {"namespace": metadata["namespace"]} if metadata.get("namespace") else {}
    return about | ({"fieldPath": field_path} if field_path else {})


def now() -> str:
    """The time as the API writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Events:
    """`run` writes what `say` and `pass_on` put in."""

    kube: KubeClient
    node: str
    _queue: asyncio.Queue[dict[str, Any]] = field(default_factory=lambda: asyncio.Queue(2000))
    _counts: dict[str, int] = field(default_factory=dict)

    def say(self, about: dict[str, str], reason: str, message: str, *, warning: bool = False) -> None:
        """Something that this provider has to tell. The same text on the same object is one event with a count."""
        _LOG.log(logging.WARNING if warning else logging.INFO, "%s: %s: %s", about["name"], reason, message)
        key = f"{about['uid']}/{about.get('fieldPath', '')}/{reason}/{message}"
        kind = "Warning" if warning else "Normal"
        self._put(about, key, {"reason": reason, "message": message, "type": kind}, counted=True)

    def pass_on(self, about: dict[str, str], origin: str, event: dict[str, Any]) -> None:
        """An agent's own event; `origin` and its number make it one event however often it is passed on."""
        about = {**about, "fieldPath": event["fieldPath"]} if event.get("fieldPath") else about
        key = f"{about['uid']}/{origin}/{event['id']}"
        self._put(about, key, event)

    def _put(self, about: dict[str, str], key: str, told: dict[str, Any], *, counted: bool = False) -> None:
        time = told.get("time") or now()
        name = f"{about['name'][:200]}.{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        count = self._counts[name] = self._counts.pop(name, 0) + 1
        while len(self._counts) > _REMEMBERED:
            del self._counts[next(iter(self._counts))]
        if count > 1 and not counted:
            return
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": about.get("namespace", "default")},
            "involvedObject": about,
            "reason": told["reason"],
            "message": told["message"][:_MESSAGE_LIMIT],
            "type": told["type"],
            "count": count,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "source": {"component": _COMPONENT, "host": self.node},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self.node,
        }
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            _LOG.warning("an event is lost, there are too many: %s: %s", about["name"], told["message"])

    async def run(self) -> None:
        while True:
            event = await self._queue.get()
            try:
                await self._write(event)
            except KipError as error:
                _LOG.warning("event %s: %s", event["reason"], error)
            finally:
                self._queue.task_done()

    async def flush(self) -> None:
        """Until all that was said is written."""
        await self._queue.join()

    async def _write(self, event: dict[str, Any]) -> None:
        path = path_of("events", namespace=event["metadata"]["namespace"])
        if event["count"] == 1:
            try:
                await self.kube.create(path, event)
                return
            except ApiRefusal as error:
                if error.status != 409:
                    raise
                if event["type"] == "Normal":
                    return  # said before this process was there
        change = {"count": event["count"], "lastTimestamp": event["lastTimestamp"]}
        try:
            await self.kube.patch(f"{path}/{event['metadata']['name']}", change)
        except ApiRefusal as error:
            if error.status != 404:
                raise
            await self.kube.create(path, event)
