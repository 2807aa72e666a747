"""A SPDY connection, the server's side: streams that the client opens, and what goes in and out of each.

As Kubernetes uses it: only the client opens streams, with odd numbers; a stream's headers say what it is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping

from kip_conformance.infra.provider.http import NoAnswer
from kip_conformance.infra.provider.kubelet_port.byte_ways import ByteWay
from kip_conformance.infra.provider.kubelet_port.spdy_frames import (
    DATA,
    GOAWAY,
    PING,
    RST_STREAM,
    SYN_STREAM,
    Frame,
    NoSpdy,
    Reader,
    Writer,
)

__all__ = ["SpdyConnection", "SpdyStream", "StreamGone"]

_LOG = logging.getLogger(__name__)
_FULL = 1 << 20
"""Bytes that wait to be read from one stream before nothing more is read from the connection."""
_BLOCK = 32 << 10
_REFUSED_STREAM, _CANCEL = 3, 5
_IDLE = 4 * 3600.0
"""Seconds without a word until the connection is ended: a kubelet's streamingConnectionIdleTimeout."""


class StreamGone(Exception):
    """The client has reset this stream, or the connection has ended."""


class SpdyStream:
    """One stream. `headers` have names in lower case."""

    def __init__(self, connection: SpdyConnection, number: int, headers: Mapping[str, str]) -> None:
        self.number, self.headers = number, headers
        self._connection = connection
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._has_ended = self._is_gone = self._is_shut = False
        self._news, self._room = asyncio.Event(), asyncio.Event()

    async def read(self) -> bytes:
        """The next piece; nothing when the client writes no more. Raises StreamGone."""
        while not self._waiting:
            if self._is_gone:
                raise StreamGone
            if self._has_ended:
                return b""
            self._news.clear()
            await self._news.wait()
        data = self._waiting.popleft()
        self._size -= len(data)
        self._room.set()
        return data

    async def write(self, data: bytes) -> None:
        """Raises StreamGone."""
        for start in range(0, len(data), _BLOCK):
            if self._is_gone or self._is_shut:
                raise StreamGone
            await self._send(self._connection.writer.data(self.number, data[start : start + _BLOCK]))

    async def end(self) -> None:
        """Nothing more is written; what the client still sends can be read."""
        if not (self._is_gone or self._is_shut):
            self._is_shut = True
            with contextlib.suppress(StreamGone):
                await self._send(self._connection.writer.data(self.number, b"", is_last=True))
            self._connection.forget_if_over(self)

    async def reset(self) -> None:
        """Nothing more goes in any direction."""
        if not self._is_gone:
            self.lose()
            with contextlib.suppress(StreamGone):
                await self._send(self._connection.writer.rst_stream(self.number, _CANCEL))
            self._connection.forget_if_over(self)

    @property
    def is_over(self) -> bool:
        return self._is_gone or (self._has_ended and self._is_shut)

    def lose(self) -> None:
        """Whoever waits for the stream is told that it has gone."""
        self._is_gone = True
        self._waiting.clear()
        self._news.set()
        self._room.set()

    async def take(self, frame: Frame) -> None:
        """What the client sent. Waits while too much of it has not been read."""
        if self._is_gone or self._has_ended:
            return
        if frame.data:
            self._waiting.append(frame.data)
            self._size += len(frame.data)
        self._has_ended = frame.is_last
        self._news.set()
        while self._size > _FULL and not self._is_gone:
            self._room.clear()
            await self._room.wait()

    async def _send(self, data: bytes) -> None:
        try:
            await self._connection.way.write(data)
        except NoAnswer as error:
            raise StreamGone from error


class SpdyConnection:
    """`accept` gets every new stream, and returns whether it is one."""

    def __init__(self, way: ByteWay, accept: Callable[[SpdyStream], bool]) -> None:
        self.way, self.accept = way, accept
        self.writer = Writer()
        self._streams: dict[int, SpdyStream] = {}

    async def serve(self) -> None:
        """Until the client ends it, or goes away, or breaks the protocol."""
        reader = Reader()
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    data = await self.way.read()
                if not data:
                    return
                for frame in reader.feed(data):
                    if frame.kind == GOAWAY:
                        return
                    await self._take(frame)
        except (NoAnswer, NoSpdy, TimeoutError) as error:
            _LOG.info("kubelet port: a SPDY connection ends: %s", error or type(error).__name__)
        finally:
            for stream in self._streams.values():
                stream.lose()

    def forget_if_over(self, stream: SpdyStream) -> None:
        if stream.is_over:
            self._streams.pop(stream.number, None)

    async def _take(self, frame: Frame) -> None:
        if frame.kind == SYN_STREAM:
            await self._open(frame)
        elif frame.kind == PING:
            if frame.number % 2:  # even ones would be answers to ours
                await self.way.write(self.writer.ping(frame.number))
        elif (stream := self._streams.get(frame.number)) is None:
            return  # what was under way when its stream ended
        elif frame.kind == DATA:
            await stream.take(frame)
            self.forget_if_over(stream)
        elif frame.kind == RST_STREAM:
            stream.lose()
            self.forget_if_over(stream)

    async def _open(self, frame: Frame) -> None:
        if frame.number in self._streams or frame.number % 2 == 0:
            raise NoSpdy(f"SPDY: stream {frame.number} cannot be opened")
        stream = SpdyStream(self, frame.number, frame.headers)
        if not self.accept(stream):
            await self.way.write(self.writer.rst_stream(frame.number, _REFUSED_STREAM))
            return
        self._streams[frame.number] = stream
        await self.way.write(self.writer.syn_reply(frame.number, {}))
        if frame.is_last:
            await stream.take(Frame(DATA, frame.number, is_last=True))
