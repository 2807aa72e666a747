"""HTTP/1.1 over asyncio's streams: a client with kept connections, answers as they come, and upgraded connections.

Enough of RFC 9112 for API servers and agents, whose certificates are what they are told apart by. No redirects, no
proxies, no cookies. The serving side has a file of its own: kubelet_port/requests.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from kip_conformance.infra.errors import KipError

__all__ = ["Answer", "Body", "HttpClient", "NoAnswer", "Stream", "read_head"]

_HEAD_LIMIT = 64 << 10
_LINE_LIMIT = 1 << 20
"""Bytes that asyncio's streams buffer: a line of a watch must fit (an object is at most 1.5 MiB in etcd)."""


class NoAnswer(KipError):
    """The other side could not be reached, went away, or did not keep to the protocol."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Stream:
    """An answer whose body is still to come; `body` yields it in pieces."""

    status: int
    headers: Mapping[str, str]
    body: Body


@dataclass(slots=True)
class Body:
    """The body of a message, read by its own framing: chunks, a length, or the end of the connection."""

    reader: asyncio.StreamReader
    headers: Mapping[str, str]
    is_empty: bool = False
    whole: bool = field(default=False, init=False)
    """Whether all of it has been read, so that the connection can be used again."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises NoAnswer when the connection ends before the body does."""
        try:
            if self.is_empty:
                pass
            elif "chunked" in self.headers.get("transfer-encoding", "").lower():
                async for piece in self._chunks():
                    yield piece
            elif "content-length" in self.headers:
                left = int(self.headers["content-length"])
                while left:
                    piece = await self.reader.read(min(left, 65536))
                    if not piece:
                        raise NoAnswer(f"the connection ended {left} bytes before its message did")
                    left -= len(piece)
                    yield piece
            else:
                while piece := await self.reader.read(65536):
                    yield piece
                return  # the end of the connection was the end of the message: nothing to use again
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise NoAnswer(f"the connection broke within a message: {error or type(error).__name__}") from error
        self.whole = True

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            line = await self.reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while (await self.reader.readuntil(b"\r\n")) != b"\r\n":
                    pass
                return
            left = size
            while left:
                piece = await self.reader.read(min(left, 65536))
                if not piece:
                    raise asyncio.IncompleteReadError(b"", left)
                left -= len(piece)
                yield piece
            await self.reader.readexactly(2)

    async def all(self, *, limit: int = 64 << 20) -> bytes:
        """The whole body. Raises NoAnswer when it is longer than `limit` bytes."""
        parts, size = [], 0
        async for piece in self.pieces():
            parts.append(piece)
            size += len(piece)
            if size > limit:
                raise NoAnswer(f"a message is longer than {limit} bytes")
        return b"".join(parts)


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The first line and the headers, names in lower case. Raises NoAnswer for anything else."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise NoAnswer(f"no HTTP: {error or type(error).__name__}") from error
    if len(head) > _HEAD_LIMIT:
        raise NoAnswer("no HTTP: its head is too long")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise NoAnswer(f"no HTTP: {line[:60]!r} is no header")
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return first, headers


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.writer.transport.abort()


@dataclass(slots=True)
class HttpClient:
    """One server. Connections are kept for the next request; each request has a time limit of its own, in seconds."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_timeout: float = 5.0
    _idle: list[_Connection] = field(default_factory=list, init=False)

    async def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> Answer:
        """Raises NoAnswer when there is none within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                async with self.stream(method, target, body, headers=headers) as stream:
                    return Answer(stream.status, stream.headers, await stream.body.all())
        except TimeoutError:
            raise NoAnswer(f"{self._where} {method} {target}: no answer within {timeout:g} s") from None

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, target: str, body: bytes | None = None, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Stream]:
        """An answer whose body is read while it comes. Raises NoAnswer; its time limit is the caller's."""
        connection, stream = await self._exchange(method, target, body, headers)
        try:
            yield stream
        finally:
            if stream.body.whole and stream.headers.get("connection", "").lower() != "close":
                self._idle.append(connection)
            else:
                connection.close()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of one's own, for what is no HTTP after its head. Raises NoAnswer."""
        connection = await self._connect()
        return connection.reader, connection.writer

    def close(self) -> None:
        """Forget the kept connections; the client can still be used."""
        while self._idle:
            self._idle.pop().close()

    @property
    def _where(self) -> str:
        return f"{self.host}:{self.port}"

    async def _exchange(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> tuple[_Connection, Stream]:
        message = self._message(method, target, body, headers)
        while self._idle:
            connection = self._idle.pop()
            if connection.writer.is_closing() or connection.reader.at_eof():
                connection.close()
                continue
            try:
                return connection, await self._ask(connection, method, message)
            except NoAnswer:
                # A kept connection may have ended while it was idle: that is no answer to anything. What must not be
                # done twice is made safe by what it says (a name, a uid), as it must be against any lost answer.
                connection.close()
        connection = await self._connect()
        return connection, await self._ask(connection, method, message)

    def _message(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str] | None) -> bytes:
        given = {"Host": self._where, **self.headers, **(headers or {})}
        if body is not None or method in ("POST", "PUT", "PATCH"):
            given["Content-Length"] = str(len(body or b""))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")

    async def _ask(self, connection: _Connection, method: str, message: bytes) -> Stream:
        try:
            connection.writer.write(message)
            await connection.writer.drain()
            while True:
                first, headers = await read_head(connection.reader)
                status = _status_of(first)
                if status >= 200:
                    break
        except (OSError, NoAnswer) as error:
            connection.close()
            raise NoAnswer(f"{self._where}: {error}") from error
        except BaseException:
            connection.close()
            raise
        is_empty = method == "HEAD" or status in (204, 304)
        return Stream(status, headers, Body(connection.reader, headers, is_empty))

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(self.connect_timeout):
                reader, writer = await asyncio.open_connection(
                    self.host,
                    self.port,
                    ssl=self.tls,
                    server_hostname=(self.server_name or self.host) if self.tls else None,
                    limit=_LINE_LIMIT,
                )
        except TimeoutError:
            raise NoAnswer(f"{self._where}: no connection within {self.connect_timeout:g} s") from None
        except (OSError, ssl.SSLError) as error:
            raise NoAnswer(f"{self._where}: {error}") from error
        return _Connection(reader, writer)


def _status_of(first: str) -> int:
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise NoAnswer(f"no HTTP: {first[:60]!r}")
    return int(rest[:3])
