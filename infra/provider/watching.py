"""A list that follows the API server: list, then watch, again from where it was after every kind of interruption.

"Kubernetes API concepts, efficient detection of changes": a watch that has expired (410 Gone) begins with a new list;
bookmarks carry the place to go on from. What a new list lacks is told as deleted, so that nothing is missed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.provider.http import NoAnswer
from kip_conformance.infra.provider.kube_client import KubeClient, Object

__all__ = ["Expired", "Followed"]

_LOG = logging.getLogger(__name__)
_WATCH = 240
"""Seconds that one watch lasts at most; the server ends it, and the next goes on from there."""
_SILENCE = _WATCH + 30.0
_LONGEST_PAUSE = 10.0


class Expired(KipError):
    """The place to go on from is too old: the list has to be taken anew."""


@dataclass(slots=True)
class Followed:
    """The objects of one collection by uid, kept up to date by `run`.

    `changed` is called with an object whenever it is new or different, `gone` with the last that was known of it.
    """

    client: KubeClient
    path: str
    selector: str
    changed: Callable[[Object], None]
    gone: Callable[[Object], None]
    objects: dict[str, Object] = field(default_factory=dict)
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first list is there."""
    _version: str = ""

    async def run(self) -> None:
        """Follow for ever. An API server that is away is asked again, less and less often."""
        failures = 0
        while True:
            try:
                if not self._version:
                    self._version = await self._list()
                    self.listed.set()
                failures = 0
                await self._watch()
                continue
            except Expired:
                self._version = ""
                continue
            except (NoAnswer, TimeoutError) as error:
                _LOG.info("%s: %s", self.path, error)
            except ApiRefusal as error:
                _LOG.warning("%s", error)
                if error.status == 410:
                    self._version = ""
            failures += 1
            await asyncio.sleep(min(_LONGEST_PAUSE, 0.1 * 2**failures) * random.uniform(0.5, 1))

    async def _list(self) -> str:
        found = await self.client.get(f"{self.path}?{self.selector}")
        items = {item["metadata"]["uid"]: item for item in found["items"]}
        for uid in [uid for uid in self.objects if uid not in items]:
            self.gone(self.objects.pop(uid))
        for uid, item in items.items():
            known = self.objects.get(uid)
            if known is None or known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self.objects[uid] = item
                self.changed(item)
        return str(found["metadata"]["resourceVersion"])

    async def _watch(self) -> None:
        """Take changes until the server ends the watch."""
        query = f"{self.selector}&watch=1&allowWatchBookmarks=true&timeoutSeconds={_WATCH}"
        query += f"&resourceVersion={self._version}"
        async with self.client.lines(f"{self.path}?{query}") as lines:
            iterator = aiter(lines)
            while True:
                try:
                    async with asyncio.timeout(_SILENCE):
                        line = await anext(iterator)
                except StopAsyncIteration:
                    return
                event = json.loads(line)
                kind, item = event["type"], event["object"]
                if kind == "ERROR":
                    if item.get("code") == 410:
                        raise Expired(f"{self.path}: {item.get('message', '')}")
                    raise NoAnswer(f"{self.path}: the watch ended: {item.get('message', item)}")
                if kind != "BOOKMARK":
                    self._take(kind, item)
                self._version = str(item["metadata"]["resourceVersion"])

    def _take(self, kind: str, item: Object) -> None:
        uid = item["metadata"]["uid"]
        if kind == "DELETED":
            self.objects.pop(uid, None)
            self.gone(item)
        else:
            self.objects[uid] = item
            self.changed(item)
