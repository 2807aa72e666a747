"""What SPDY is spoken over: the connection itself, or the messages of a websocket on it (KEP-4006, "SPDY/3.1+…")."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from kip_conformance.infra.cell.problems import Refused
from kip_conformance.infra.cell.websocket import BINARY, CLOSE, PING, PONG, Frames, frame
from kip_conformance.infra.provider.http import NoAnswer

__all__ = ["ByteWay", "Plain", "Tunnelled"]

_BLOCK = 64 << 10
_NORMAL = (1000).to_bytes(2)


class ByteWay(Protocol):
    """Bytes in both directions."""

    async def read(self) -> bytes:
        """What came; nothing at the end. Raises NoAnswer when the other side breaks off."""

    async def write(self, data: bytes) -> None:
        """Raises NoAnswer when the other side has gone. What is given first is sent first, whoever waits."""

    async def end(self) -> None:
        """Say that nothing more comes."""


class Plain:
    """The connection, once its upgrade has been answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self) -> bytes:
        try:
            return await self.reader.read(_BLOCK)
        except OSError as error:
            raise NoAnswer(f"the client has gone: {error}") from error

    async def write(self, data: bytes) -> None:
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError as error:
            raise NoAnswer(f"the client has gone: {error}") from error

    async def end(self) -> None:
        """Closing the connection says it."""


class Tunnelled:
    """The same within a websocket: each message of a client is a piece of the stream, and so is each of ours."""

    def __init__(self, way: ByteWay) -> None:
        self.way = way
        self._frames = Frames()
        self._is_closed = False

    async def read(self) -> bytes:
        while not self._is_closed:
            data = await self.way.read()
            if not data:
                return b""
            parts = []
            try:
                for opcode, payload in self._frames.feed(data):
                    if opcode == BINARY:
                        parts.append(payload)
                    elif opcode == PING:
                        await self.way.write(frame(PONG, payload))
                    elif opcode == CLOSE:
                        await self._close(payload[:2])
                        break
            except Refused as error:
                raise NoAnswer(f"websocket: {error}") from error
            if any(parts):  # kubectl sends empty messages, too: they are no end
                return b"".join(parts)
        return b""

    async def write(self, data: bytes) -> None:
        await self.way.write(frame(BINARY, data))

    async def end(self) -> None:
        await self._close(_NORMAL)

    async def _close(self, code: bytes) -> None:
        if not self._is_closed:
            self._is_closed = True
            with contextlib.suppress(NoAnswer):
                await self.way.write(frame(CLOSE, code))
