"""HTTP between a client and the one behind, over sockets of this machine: framing, refusals, and nothing smuggled."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from kip_conformance.infra.cloud.region import relay


class Behind:
    """Somebody who answers: remembers each connection's bytes, and says what it was told to say."""

    def __init__(self, folder: Path, says: bytes) -> None:
        self.path, self.says, self.heard = str(folder / "behind"), says, []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await relay.read_head(reader)
        length = relay.body_length(head)
        body = b""
        if length == -1:
            while not body.endswith(b"0\r\n\r\n"):
                body += await reader.read(1)
        elif length:
            body = await reader.readexactly(length)
        self.heard.append((head, body))
        writer.write(self.says)
        await writer.drain()
        writer.close()


async def exchanged(folder: Path, sent: bytes, says: bytes, decide=None) -> tuple[bytes, Behind]:
    """What a client hears until the connection ends, and who was behind."""
    behind = Behind(folder, says)

    async def onward(head: relay.Head) -> relay.Onward:
        return relay.Onward(behind.path, head.words[1], (("X-Own", "yes"),), frozenset(("x-own",)))

    async def take(reader, writer) -> None:
        await relay.serve(decide or onward, reader, writer)

    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(await asyncio.start_unix_server(behind.take, behind.path))
        front = await asyncio.start_unix_server(take, str(folder / "front"))
        await stack.enter_async_context(front)
        reader, writer = await asyncio.open_unix_connection(str(folder / "front"))
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(10):
            said = await reader.read()
        writer.close()
    return said, behind


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_request_and_its_answer_are_passed_on(tmp_path):
    sent = b"PUT /a?b HTTP/1.1\r\nHost: h\r\nX-Own: forged\r\nx-oWN: again\r\nContent-Length: 3\r\n\r\nabc"
    said, behind = asyncio.run(exchanged(tmp_path, sent, OK))
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b"\r\n\r\nok")
    ((head, body),) = behind.heard
    assert (head.words, body) == (("PUT", "/a?b", "HTTP/1.1"), b"abc")
    assert [value for name, value in head.headers if name.lower() == "x-own"] == ["yes"]
    assert head.get("connection") == "close"


def test_requests_of_one_connection_are_connections_of_their_own_behind(tmp_path):
    one = b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
    said, behind = asyncio.run(exchanged(tmp_path, one + one.replace(b"1 H", b"2 H"), OK))
    assert said.count(b"200 OK") == 2
    assert [head.words[1] for head, _ in behind.heard] == ["/1", "/2"]


def test_chunks_are_passed_on_in_either_direction(tmp_path):
    chunks = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    sent = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    says = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    said, behind = asyncio.run(exchanged(tmp_path, sent, says))
    assert said.endswith(chunks)
    assert behind.heard[0][1] == chunks


def test_an_answer_without_a_length_ends_with_its_connection(tmp_path):
    said, _ = asyncio.run(
        exchanged(tmp_path, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nall of it")
    )
    assert said.endswith(b"all of it")
    assert b"Connection: close" in said


def test_who_waits_for_a_continue_gets_it(tmp_path):
    sent = b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"
    said, behind = asyncio.run(exchanged(tmp_path, sent, OK))
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert not behind.heard[0][0].get("expect")


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"Content-Length: 3\r\nContent-Length: 4",
        b"Content-Length: -3",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding : chunked",
        b"no header at all",
    ],
)
def test_a_body_of_doubtful_length_is_passed_on_to_nobody(tmp_path, headers):
    said, behind = asyncio.run(exchanged(tmp_path, b"POST / HTTP/1.1\r\nHost: h\r\n" + headers + b"\r\n\r\nabc", OK))
    assert behind.heard == []
    assert said.startswith(b"HTTP/1.1 400 ")


def test_who_is_away_or_ends_without_an_answer_is_said(tmp_path):
    async def nowhere(_: relay.Head) -> relay.Onward:
        return relay.Onward(str(tmp_path / "nobody"), "/")

    asked = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert b"503" in asyncio.run(exchanged(tmp_path, asked, b"", nowhere))[0].splitlines()[0]
    assert b"502" in asyncio.run(exchanged(tmp_path, asked, b""))[0].splitlines()[0]


def test_an_answer_of_our_own_leaves_no_body_behind_as_a_request(tmp_path):
    async def no(_: relay.Head) -> relay.Answer:
        return relay.problem(401, "no")

    hidden = b"GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + str(len(hidden)).encode() + b"\r\n\r\n"
    said, _ = asyncio.run(exchanged(tmp_path, head + hidden, OK, no))
    assert said.count(b"HTTP/1.1 ") == 1
