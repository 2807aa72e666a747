"""One request to the kubelet port, and its answer, on asyncio's streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kip_conformance.infra.provider.http import Body, read_head

__all__ = ["Exchange", "Request", "read_request"]

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """`words` are the parts of the path, decoded; names of headers are in lower case."""

    method: str
    words: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]

    @property
    def upgrade(self) -> str:
        """The protocol that the client wants to go on with, in lower case; empty for none."""
        return self.headers.get("upgrade", "").lower() if self._wants_upgrade else ""

    @property
    def _wants_upgrade(self) -> bool:
        return "upgrade" in self.headers.get("connection", "").lower()

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.query if key == name]


async def read_request(reader: asyncio.StreamReader) -> Request:
    """The next request, its body read and dropped: nothing asked here has one. Raises NoAnswer at the end."""
    first, headers = await read_head(reader)
    method, _, rest = first.partition(" ")
    target = urlsplit(rest.rpartition(" ")[0])
    if "content-length" in headers or "transfer-encoding" in headers:
        await Body(reader, headers).all(limit=1 << 20)
    words = tuple(unquote(word) for word in target.path.split("/") if word)
    return Request(method, words, tuple(parse_qsl(target.query, keep_blank_values=True)), headers)


@dataclass(slots=True)
class Exchange:
    """A request with the connection that it came on."""

    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    can_go_on: bool = True
    """Whether another request may follow on the connection."""

    async def answer(self, status: int, body: bytes | str, kind: str = "text/plain; charset=utf-8") -> None:
        data = body.encode() if isinstance(body, str) else body
        self.writer.write(self._head(status, {"Content-Type": kind, "Content-Length": str(len(data))}) + data)
        await self.writer.drain()

    async def answer_json(self, value: Any) -> None:
        await self.answer(200, json.dumps(value), "application/json")

    async def stream(self, pieces: AsyncIterator[bytes]) -> None:
        """Pass pieces on as they come, until they end or the client goes away."""
        self.writer.write(self._head(200, {"Content-Type": "text/plain", "Transfer-Encoding": "chunked"}))
        await self.writer.drain()
        copying = asyncio.ensure_future(self._copy(pieces))
        leaving = asyncio.ensure_future(self.reader.read(1))  # a client that waits for the answer says nothing
        try:
            await asyncio.wait({copying, leaving}, return_when=asyncio.FIRST_COMPLETED)
            self.can_go_on = copying.done() and not leaving.done()
            if copying.done():
                copying.result()
        finally:
            for task in (copying, leaving):
                task.cancel()
            await asyncio.wait({copying, leaving})

    async def _copy(self, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            self.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await self.writer.drain()
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def _head(self, status: int, headers: Mapping[str, str]) -> bytes:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
