"""The cluster as policies see it, followed: policies, namespaces and pods; whoever waits is told of changes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.provider.kube_client import KubeClient, Object, path_of
from kip_conformance.infra.provider.policies.resolve import Peer, World, peer_of, policy_of
from kip_conformance.infra.provider.watching import Followed

__all__ = ["Policies"]

_GROUP = "networking.k8s.io/v1"


@dataclass(slots=True)
class Policies:
    """`of` may be asked once `ready` is over."""

    kube: KubeClient
    listeners: set[asyncio.Event] = field(default_factory=set)
    """Set when a policy may mean something else than before."""
    _peers: dict[str, Peer] = field(default_factory=dict)
    _labels: dict[str, dict[str, str]] = field(default_factory=dict)
    _lists: tuple[Followed, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._lists = (
            Followed(self.kube, path_of("networkpolicies", group=_GROUP), "", self._tell, self._tell),
            Followed(self.kube, path_of("namespaces"), "", self._namespace, self._no_namespace),
            Followed(self.kube, path_of("pods"), "", self._pod, self._no_pod),
        )

    async def run(self) -> None:
        """Follow for ever."""
        await asyncio.gather(*(one.run() for one in self._lists))

    async def ready(self) -> None:
        """Until everything is known: a pod whose policy is not must not start."""
        for one in self._lists:
            await one.listed.wait()

    def of(self, pod: Object) -> dict[str, Any]:
        """What the policies mean for the pod just now."""
        world = World(list(self._lists[0].objects.values()), list(self._peers.values()), self._labels)
        return policy_of(pod, world)

    def _tell(self, _item: Object | None = None) -> None:
        for event in self.listeners:
            event.set()

    def _namespace(self, item: Object) -> None:
        name, labels = item["metadata"]["name"], item["metadata"].get("labels") or {}
        if self._labels.get(name) != labels:
            self._labels[name] = labels
            self._tell()

    def _no_namespace(self, item: Object) -> None:
        self._labels.pop(item["metadata"]["name"], None)
        self._tell()

    def _pod(self, item: Object) -> None:
        """Most changes of pods are of their status, and none of a policy's business."""
        uid, peer = item["metadata"]["uid"], peer_of(item)
        if self._peers.get(uid) != peer:
            self._peers[uid] = peer
            self._tell()

    def _no_pod(self, item: Object) -> None:
        if self._peers.pop(item["metadata"]["uid"], None) is not None:
            self._tell()
