"""HTTP/1.1 between a client and whoever answers for it: one request, one connection to the one behind.

Bodies are passed on as they come, in either direction, as their framing says (RFC 9112, 6). What is not understood ends
the connection: nothing a client sends can become a second request to the one behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

__all__ = ["HEAD_LIMIT", "Answer", "BadMessage", "Decide", "Head", "Onward", "ask", "errors", "problem", "serve"]

HEAD_LIMIT = 65536
"""Bytes of a message's first line and headers."""
_IDLE = 75.0
"""Seconds that a connection may be silent."""
_PATIENCE = 120.0
"""Seconds that the one behind may take to begin its answer."""
_HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection", "upgrade", "te", "expect")


class BadMessage(Exception):
    """What was sent is no message that can be passed on."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line's three words, and headers in their order."""

    words: tuple[str, str, str]
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """A header's value, its name in lower case; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def path(self) -> str:
        """A request's path without the query, as it came."""
        return self.words[1].partition("?")[0]

    @property
    def query(self) -> str:
        return self.words[1].partition("?")[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of our own."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Onward:
    """The unix socket of the one behind, the target to ask it for, and headers that replace the client's."""

    socket: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    replaced: frozenset[str] = field(default_factory=frozenset)


Decide = Callable[[Head], Awaitable[Answer | Onward]]


def problem(status: int, message: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """An answer with one line for people."""
    return Answer(status, (("Content-Type", "text/plain"), *headers), f"{message}\n".encode())


async def serve(decide: Decide, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of a client, to its end."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError, BadMessage):
        while True:
            async with asyncio.timeout(_IDLE):
                try:
                    head = await read_head(reader)
                except (BadMessage, asyncio.LimitOverrunError) as error:
                    await _answer(writer, problem(400, str(error)), has_body=True, keeps=False)
                    break
            if not await _one(decide, head, reader, writer):
                break
    with contextlib.suppress(ConnectionError, OSError):
        writer.close()


async def _one(decide: Decide, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """One request; says whether the connection goes on."""
    method, _, version = head.words
    keeps = version == "HTTP/1.1" and "close" not in head.get("connection").lower()
    length: int | None = None
    decision: Answer | Onward
    try:
        length = body_length(head)
        decision = await decide(head)
    except BadMessage as error:
        decision = problem(400, str(error))
    except (OSError, asyncio.IncompleteReadError) as error:
        decision = problem(502, f"the service gave no answer: {error}")
    if isinstance(decision, Answer):
        # What is left of the request's body would be taken for the next request.
        await _answer(writer, decision, has_body=method != "HEAD", keeps=keeps and length == 0)
        return keeps and length == 0
    try:
        behind, onward = await asyncio.open_unix_connection(decision.socket, limit=HEAD_LIMIT)
    except OSError as error:
        answer = problem(503, f"the service is away: {error.strerror}")
        await _answer(writer, answer, has_body=method != "HEAD", keeps=False)
        return False
    sending = None
    try:
        if head.get("expect").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        onward.write(_request(head, decision))
        sending = asyncio.ensure_future(_pass_body(reader, onward, length))
        return await _pass_answer(method, behind, writer, keeps=keeps, sending=sending)
    finally:
        if sending is not None:
            sending.cancel()
        onward.close()


def _request(head: Head, decision: Onward) -> bytes:
    kept = [
        (name, value)
        for name, value in head.headers
        if name.lower() not in _HOP_BY_HOP and name.lower() not in decision.replaced
    ]
    return _lines(f"{head.words[0]} {decision.target} HTTP/1.1", [*kept, *decision.headers, ("Connection", "close")])


async def _pass_answer(
    method: str,
    behind: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    keeps: bool,
    sending: asyncio.Future[None],
) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            head = await read_head(behind)
            while head.words[1].startswith("1"):
                head = await read_head(behind)
    except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, BadMessage):
        await _answer(writer, problem(502, "the service gave no answer"), has_body=method != "HEAD", keeps=False)
        return False
    status = head.words[1]
    length: int | None = 0
    if method != "HEAD" and status not in ("204", "304"):
        length = body_length(head, default=None)
    # An answer that came before the request's end leaves a connection of which nobody knows where it is.
    keeps = keeps and length is not None and sending.done() and sending.exception() is None
    headers = [(name, value) for name, value in head.headers if name.lower() not in _HOP_BY_HOP]
    connection = ("Connection", "keep-alive" if keeps else "close")
    writer.write(_lines(f"HTTP/1.1 {status} {head.words[2]}", [*headers, connection]))
    await _pass_body(behind, writer, length)
    return keeps


async def _answer(writer: asyncio.StreamWriter, answer: Answer, *, has_body: bool, keeps: bool) -> None:
    first = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"
    connection = ("Connection", "keep-alive" if keeps else "close")
    writer.write(_lines(first, [*answer.headers, ("Content-Length", str(len(answer.body))), connection]))
    writer.write(answer.body if has_body else b"")
    await writer.drain()


def _lines(first: str, headers: Iterable[tuple[str, str]]) -> bytes:
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in headers), "", ""]).encode("latin-1")


async def read_head(reader: asyncio.StreamReader) -> Head:
    """The head of a message. Raises BadMessage, IncompleteReadError at the end of the connection."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadMessage("a header is no header")
        headers.append((name, value.strip(" \t")))
    if len(words) == 2 and first.startswith("HTTP/"):
        words.append("")
    if len(words) != 3 or "\n" in first:
        raise BadMessage("the first line is not that of HTTP")
    return Head((words[0], words[1], words[2]), tuple(headers))


def body_length(head: Head, default: int | None = 0) -> int | None:
    """Bytes of a message's body: -1 when it is chunked, `default` when nothing is said. Raises BadMessage."""
    lengths = {value for name, value in head.headers if name.lower() == "content-length"}
    coding = head.get("transfer-encoding").lower()
    if coding:
        if coding != "chunked" or lengths:
            raise BadMessage("a body with two lengths, or in a coding that is not known")
        return -1
    if not lengths:
        return default
    text = lengths.pop()
    if lengths or not (text.isascii() and text.isdigit()):
        raise BadMessage("a body of several lengths, or of none")
    return int(text)


async def _pass_body(source: asyncio.StreamReader, sink: asyncio.StreamWriter, length: int | None) -> None:
    """Pass on so many bytes; -1 chunks, None all that comes."""
    if length == -1:
        while size := await _chunk(source, sink):
            await _exactly(source, sink, size + 2)
        while (line := await source.readline()) not in (b"\r\n", b""):
            sink.write(line)
        sink.write(b"\r\n")
    elif length is None:
        while part := await _some(source, 65536):
            sink.write(part)
            await sink.drain()
    else:
        await _exactly(source, sink, length)
    await sink.drain()


async def _chunk(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> int:
    line = await source.readuntil(b"\r\n")
    try:
        size = int(line.split(b";")[0].strip(), 16)
    except ValueError as error:
        raise BadMessage("a chunk without a length") from error
    sink.write(line)
    return size


async def _some(source: asyncio.StreamReader, count: int) -> bytes:
    async with asyncio.timeout(_IDLE):
        return await source.read(count)


async def _exactly(source: asyncio.StreamReader, sink: asyncio.StreamWriter, count: int) -> None:
    while count:
        part = await _some(source, min(count, 65536))
        if not part:
            raise asyncio.IncompleteReadError(b"", count)
        sink.write(part)
        await sink.drain()
        count -= len(part)


async def ask(socket: str, method: str, target: str, headers: Iterable[tuple[str, str]]) -> Answer:
    """A request of our own without a body. Raises OSError, BadMessage, IncompleteReadError."""
    reader, writer = await asyncio.open_unix_connection(socket, limit=HEAD_LIMIT)
    try:
        writer.write(_lines(f"{method} {target} HTTP/1.1", [*headers, ("Host", "front"), ("Connection", "close")]))
        async with asyncio.timeout(_PATIENCE):
            head = await read_head(reader)
            body = b"" if method == "HEAD" else await reader.read()
        return Answer(int(head.words[1]), head.headers, body)
    finally:
        writer.close()


def errors(status: int, code: str, message: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """An answer as registries have them (OCI distribution specification, Error codes)."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Answer(status, (("Content-Type", "application/json"), *headers), body)
