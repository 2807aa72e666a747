"""The policy agent of a kubelet node: NetworkPolicies of its pods, enforced by the rules that cells have.

A pod is policed once its address is in its status: unlike a cell, which has its policy before its pod's first
instruction, a kubelet node lets a pod's first packets pass. A target with such nodes does not declare otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.cell.policy import apply_policies
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.provider.kube_client import KubeClient, path_of
from kip_conformance.infra.provider.policies.known import Policies
from kip_conformance.infra.provider.policies.resolve import peer_of
from kip_conformance.infra.provider.watching import Followed

__all__ = ["police"]

_LOG = logging.getLogger(__name__)
_PAUSE = 1.0
"""Seconds until rules that could not be loaded are tried again."""

Enforce = Callable[[Mapping[str, Mapping[str, Any]]], None]


@dataclass(slots=True)
class _Node:
    pods: Followed
    policies: Policies
    news: asyncio.Event
    enforce: Enforce

    async def keep(self) -> None:
        await self.policies.ready()
        await self.pods.listed.wait()
        enforced: dict[str, dict[str, Any]] | None = None
        while True:
            self.news.clear()
            wanted = self._wanted()
            if wanted != enforced:
                try:
                    await asyncio.to_thread(self.enforce, wanted)
                except CellProblem as problem:
                    _LOG.warning("policies of %d pods: %s", len(wanted), problem)
                    await asyncio.sleep(_PAUSE)
                    continue
                enforced = wanted
                _LOG.info("policies of %d pods are in force", len(wanted))
            await self.news.wait()

    def _wanted(self) -> dict[str, dict[str, Any]]:
        """By address; pods that no policy selects are left out."""
        found = {
            address: self.policies.of(pod) for pod in self.pods.objects.values() for address in peer_of(pod).addresses
        }
        return {address: policy for address, policy in found.items() if any(one is not None for one in policy.values())}


async def police(kube: KubeClient, node: str, enforce: Enforce = apply_policies) -> None:
    """Keep the rules of this machine, which is `node`, as policies want them; until cancelled."""
    news = asyncio.Event()

    def told(_item: object) -> None:
        news.set()

    policies = Policies(kube)
    policies.listeners.add(news)
    pods = Followed(kube, path_of("pods"), f"fieldSelector=spec.nodeName={node}", told, told)
    async with asyncio.TaskGroup() as tasks:
        for work in (policies.run(), pods.run(), _Node(pods, policies, news, enforce).keep()):
            tasks.create_task(work)
