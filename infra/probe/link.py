"""The conversation with one place's prober: hello, request and reply, heartbeats, and one try to reopen a lost one.

What travels is JSON lines as prober.py describes them; what the requests mean is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.probe.channel import Channel, ChannelLost
from kip_conformance.infra.probe.prober import PROTOCOL_VERSION

__all__ = ["Link", "RequestRefused", "Session"]

Message = dict[str, Any]

_LOG = logging.getLogger(__name__)
_HEARTBEAT = 1.0  # seconds between heartbeats; the prober drops a channel after ten without input
_SILENCE = 3.0  # seconds without any line, though heartbeats were sent, after which a prober counts as frozen
_HELLO = 15.0  # seconds for a channel to start; the channel process itself notices a frozen resident after two


class RequestRefused(HarnessError):
    """The prober understood nothing, or could not do it; asking again would not help."""


class Session:
    """One open channel: sends requests, hands replies to whoever waits, beats, and remembers why it ended."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._hello: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._hello.add_done_callback(_retrieved)
        self._number = 0
        self._lost: ChannelLost | None = None
        self._last_line = asyncio.get_running_loop().time()
        self._reader = asyncio.create_task(self._read())
        self._beats: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._lost is None

    async def hello(self) -> Message:
        """The prober's first line; heartbeats begin. Raises ChannelLost when none comes."""
        try:
            async with asyncio.timeout(_HELLO):
                message = await asyncio.shield(self._hello)
        except TimeoutError:
            raise ChannelLost(f"no hello within {_HELLO:g} s") from None
        self._beats = asyncio.create_task(self._beat())
        return message

    async def call(self, worker: str, message: Message, wait: float) -> Message:
        """The reply to a request. Raises ChannelLost when none comes within `wait` seconds, RequestRefused on "no"."""
        if self._lost is not None:
            raise self._lost
        self._number += 1
        identity = f"{worker}-{self._number}"
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[identity] = reply
        try:
            async with asyncio.timeout(wait):
                await self._channel.send(
                    json.dumps({"id": identity, **message}, separators=(",", ":")).encode() + b"\n"
                )
                answer = await reply
        except TimeoutError:
            self._end(ChannelLost(f"no reply to {message.get('op')} within {wait:.1f} s"))
            assert self._lost is not None
            raise self._lost from None
        except ChannelLost as lost:
            self._end(lost)
            raise
        finally:
            self._waiting.pop(identity, None)
        if "failed" in answer:
            raise RequestRefused(f"{message.get('op')}: {answer['failed']}")
        return answer

    async def close(self) -> None:
        """Say goodbye and let go. Never raises."""
        if self._lost is None:
            with contextlib.suppress(ChannelLost, RequestRefused):
                await self.call("bye", {"op": "bye"}, 1.0)
        self._end(ChannelLost("closed"))
        tasks = [task for task in (self._beats, self._reader) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._channel.close()

    def _end(self, lost: ChannelLost) -> None:
        if self._lost is None:
            self._lost = lost
            for future in (self._hello, *self._waiting.values()):
                if not future.done():
                    future.set_exception(lost)

    async def _read(self) -> None:
        try:
            async for line in self._channel.lines():
                self._last_line = asyncio.get_running_loop().time()
                self._take(line)
        except ChannelLost as lost:
            self._end(lost)
        else:
            self._end(ChannelLost("the channel ended without a word"))

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            identity = message.get("id")
        except (ValueError, AttributeError):
            raise ChannelLost(f"a line that is not ours: {line[:120].decode('utf-8', 'replace')!r}") from None
        if "hello" in message and not self._hello.done():
            self._hello.set_result(message)
        elif identity in self._waiting:
            if not self._waiting[identity].done():
                self._waiting[identity].set_result(message)
        elif identity is None and "error" in message:
            raise ChannelLost(str(message["error"]))

    async def _beat(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._lost is None:
            await asyncio.sleep(_HEARTBEAT)
            silence = clock() - self._last_line
            if silence > _SILENCE:
                self._end(ChannelLost(f"silent for {silence:.1f} s, heartbeats included (frozen, or its node is)"))
                return
            try:
                await self._channel.send(b'{"id":"heartbeat","op":"heartbeat"}\n')
            except ChannelLost as lost:
                self._end(lost)


class Link:
    """One place's prober, whatever happens to its channels.

    `open_channel` makes a new channel; `describe_loss` adds what else is known about the place once no verdict is left
    (a pod's restart count). A request whose channel is lost is sent once more, over a new channel; then HarnessError.
    """

    def __init__(
        self,
        name: str,
        open_channel: Callable[[], Awaitable[Channel]],
        *,
        worker: str,
        describe_loss: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self.name, self._worker = name, worker
        self._open_channel, self._describe_loss = open_channel, describe_loss
        self._session: Session | None = None
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self.instance: str | None = None
        self.restarts = 0

    async def call(self, build: Callable[[int], Message], wait: float) -> Message:
        """The reply to what `build` makes for the first, and if that is lost for the second, try.

        Raises HarnessError with all that is known when both are lost; the caller must not take that for a denial.
        """
        losses: list[str] = []
        for attempt in (1, 2):
            session = None
            try:
                session = await self.session()
                return await session.call(self._worker, build(attempt), wait)
            except ChannelLost as lost:
                losses.append(str(lost))
                _LOG.warning("place %s: %s", self.name, lost)
                self._drop(session)
            except RequestRefused as error:
                raise RequestRefused(f"place {self.name}: {error}") from error
        why = losses[1] if losses[0] == losses[1] else f"{losses[1]}; before that: {losses[0]}"
        if self._describe_loss is not None:
            with contextlib.suppress(Exception):
                why += f"; {await self._describe_loss()}"
        raise HarnessError(f"place {self.name}: no verdict, its prober does not answer: {why}")

    async def session(self) -> Session:
        """The open session, opened when there is none. Raises ChannelLost, or HarnessError for a stranger's hello."""
        async with self._opening:
            if self._session is None or not self._session.is_open:
                self._drop(self._session)
                session = Session(await self._open_channel())
                try:
                    self._greet(await session.hello())
                except BaseException:
                    self._drop(session)
                    raise
                self._session = session
            return self._session

    def _greet(self, hello: Message) -> None:
        if hello["hello"] != PROTOCOL_VERSION:
            raise HarnessError(
                f"place {self.name}: its prober speaks protocol {hello['hello']}, this suite {PROTOCOL_VERSION}; "
                "bring the cluster's probers up again"
            )
        if hello["name"] != self.name:
            raise HarnessError(f"place {self.name}: its channel leads to the prober of {hello['name']}")
        if self.instance not in (None, hello["instance"]):
            self.restarts += 1
            _LOG.warning("place %s: its prober was restarted (%s, was %s)", self.name, hello["instance"], self.instance)
        self.instance = hello["instance"]

    def _drop(self, session: Session | None) -> None:
        """Close in the background: the next try must not wait for a goodbye that nobody answers."""
        if session is not None:
            task = asyncio.create_task(session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        if session is self._session:
            self._session = None

    async def close(self) -> None:
        """Say goodbye; whatever does not end within a few seconds is left behind."""
        self._drop(self._session)
        if self._closing:
            _, late = await asyncio.wait(self._closing, timeout=4)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def _retrieved(future: asyncio.Future[Message]) -> None:
    """Nobody may be waiting when a session ends: that is no error of its own."""
    if not future.cancelled():
        future.exception()
