"""A pod on its cell: wait for the agent, give it the pod, pass on what it says, until the pod or the cell is over."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.provider import status
from kip_conformance.infra.provider.agent_client import AgentClient, AgentRefusal
from kip_conformance.infra.provider.board import StatusBoard
from kip_conformance.infra.provider.cloud import CloudRefusal
from kip_conformance.infra.provider.events import reference
from kip_conformance.infra.provider.facilities import Facilities
from kip_conformance.infra.provider.fleet import Cell
from kip_conformance.infra.provider.http import NoAnswer
from kip_conformance.infra.provider.kube_client import Object
from kip_conformance.infra.provider.payload import Missing, token_life

__all__ = ["End", "Following", "Outcome"]

_LOG = logging.getLogger(__name__)
_RENEWAL = 60.0
"""Seconds after which what volumes hold is looked at again; kubelet's own pace."""
_DIAL_FIRST, _DIAL_LAST = 0.5, 3.0


class Outcome(Enum):
    """How following a cell ended: the pod has; the cell has; or the cell cannot do what the pod asks for."""

    OVER = "over"
    LOST = "lost"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class End:
    outcome: Outcome
    why: str = ""


class _Ended(Exception):
    def __init__(self, end: End) -> None:
        super().__init__(end.why)
        self.end = end


@dataclass(slots=True)
class Following:
    """`pod` gives the pod as it is known now, and `changed` is set when that is a new one."""

    by: Facilities
    cell: Cell
    pod: Callable[[], Object]
    changed: asyncio.Event
    board: StatusBoard
    healthy_timeout: float
    restarts: Mapping[str, int]
    agent: AgentClient = field(init=False)
    deployed: asyncio.Event = field(default_factory=asyncio.Event)
    _policed: dict[str, Any] = field(default_factory=dict)
    """What the agent was told last."""
    _telling: asyncio.Lock = field(default_factory=asyncio.Lock)
    """An older policy must not arrive after a newer one."""

    def __post_init__(self) -> None:
        self.agent = AgentClient(self.by.address_of(self.cell), self.cell.primary, self.by.agent_tls)

    async def run(self) -> End:
        """Until the pod or the cell is over."""
        end = End(Outcome.LOST, "following it ended without a reason")
        try:
            await self._boot()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_updated())
                tasks.create_task(self._keep_policed())
                tasks.create_task(self._follow())
        except* _Ended as group:
            end = _first(group).end
        finally:
            self.agent.close()
        return end

    async def _boot(self) -> None:
        loop = asyncio.get_running_loop()
        began, limit, said = loop.time(), _DIAL_FIRST, False
        while True:
            self._require_cell()
            self.agent.http.host, self.agent.http.connect_timeout = self.by.address_of(self.cell), limit
            try:
                await self.agent.ping()
                self.agent.http.connect_timeout = 5.0
                return
            except (NoAnswer, AgentRefusal) as error:
                why = str(error)
            waited = loop.time() - began
            if waited > self.by.patience.boot:
                await self._explain(why)
                raise _Ended(End(Outcome.LOST, f"its agent did not answer within {waited:.0f} s: {why}"))
            if waited > self.by.patience.boot_warning and not said:
                said = True
                await self._explain(why)
            limit = min(limit * 1.3, _DIAL_LAST)
            await asyncio.sleep(0.05)

    def _require_cell(self) -> None:
        known = self.by.fleet.cells.get(self.cell.instance)
        if known is not None and not known.is_alive:
            raise _Ended(End(Outcome.LOST, f"its instance {self.cell.instance} is {known.state}"))

    async def _explain(self, why: str) -> None:
        """An event that says what is known about a cell that does not come up: the console says the most."""
        place, url = self.by.launcher.place, self.by.config.cells.itzo.url
        message = (
            f"cell {self.cell.instance} in subnet {place.subnet} does not come up: its agent does not answer ({why})"
        )
        with contextlib.suppress(CloudRefusal):
            said = await self.by.launcher.cloud.call("get_console_output", InstanceId=self.cell.instance, Latest=True)
            lines = [line for line in str(said.get("Output", "")).splitlines() if line.strip()]
            if lines:
                message += f"; its console ends with: {lines[-1].strip()}"
        message += f"; it downloads the agent from {url}"
        self.by.events.say(reference(self.pod()), "CellNotUp", message, warning=True)

    async def _keep_updated(self) -> None:
        """Give the agent the pod, and again whenever it or what it names has changed."""
        loop = asyncio.get_running_loop()
        sent, tokens, renew_at = "", {}, 0.0
        await self.by.policies.ready()
        while True:
            self.changed.clear()
            pause = _RENEWAL
            pod = self.pod()
            try:
                if loop.time() >= renew_at:
                    tokens = await self.by.payload.fresh_tokens(pod)
                    renew_at = loop.time() + (token_life(pod) or float("inf"))
                body = await self.by.payload.body(pod, tokens)
                digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
                if digest != sent:
                    async with self._telling:
                        policy = self.by.policies.of(pod)
                        await self.agent.deploy({**body, "policy": policy})
                        self._policed = policy
                    sent = digest
                    self.deployed.set()
            except Missing as error:
                self.by.events.say(reference(pod), "FailedMount", str(error), warning=True)
                pause = 1.0
            except AgentRefusal as error:
                if error.status == 400:
                    raise _Ended(End(Outcome.REFUSED, error.message)) from error
                if error.status == 409:
                    raise _Ended(End(Outcome.LOST, f"its cell runs another pod: {error.message}")) from error
                pause = 1.0
            except (NoAnswer, ApiRefusal) as error:
                _LOG.info("%s: %s", pod["metadata"]["name"], error)
                pause = 1.0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(pause, max(renew_at - loop.time(), 1.0))):
                    await self.changed.wait()

    async def _keep_policed(self) -> None:
        """Tell the agent what policies mean for the pod whenever that is something else."""
        await self.deployed.wait()
        news, pause = asyncio.Event(), 0.0
        self.by.policies.listeners.add(news)
        try:
            while True:
                news.clear()
                try:
                    async with self._telling:
                        if (policy := self.by.policies.of(self.pod())) != self._policed:
                            await self.agent.police(policy)
                            self._policed = policy
                    pause = 0.0
                except (NoAnswer, AgentRefusal) as error:
                    _LOG.warning("policy of %s: %s", self.pod()["metadata"]["name"], error)
                    pause = 1.0
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause or None):
                        await news.wait()
        finally:
            self.by.policies.listeners.discard(news)

    async def _follow(self) -> None:
        await self.deployed.wait()
        loop = asyncio.get_running_loop()
        answered, version, pause = loop.time(), 0, 0.2
        while True:
            try:
                told = await self.agent.status(version, self.by.config.cells.status_interval)
                answered, version, pause = loop.time(), int(told["version"]), 0.2
                self._take(told)
            except (NoAnswer, AgentRefusal, KeyError, ValueError) as error:
                # An agent that was started again counts its versions anew.
                version = 0
                self._require_cell()
                silent = loop.time() - answered
                if self.healthy_timeout and silent > self.healthy_timeout:
                    raise _Ended(
                        End(Outcome.LOST, f"its agent has not answered for {silent:.0f} s: {error}")
                    ) from error
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 2.0)
            self._require_cell()

    def _take(self, told: dict[str, Any]) -> None:
        pod = self.pod()
        if told.get("uid") != pod["metadata"]["uid"]:
            return
        for event in told.get("events") or []:
            self.by.events.pass_on(reference(pod), self.cell.instance, event)
        said = told["status"]
        self.board.want(status.from_agent(pod, said, self.by.host_ip, self.restarts))
        if status.is_over(said):
            raise _Ended(End(Outcome.OVER))


def _first(group: BaseExceptionGroup[_Ended]) -> _Ended:
    one: BaseException = group
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    assert isinstance(one, _Ended)
    return one
