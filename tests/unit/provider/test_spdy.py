"""SPDY as the kubelet port speaks it, from bytes to streams; the other side is made of the same frames by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import zlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from kip_conformance.infra.cell.websocket import BINARY, CLOSE, frame
from kip_conformance.infra.provider.agent_client import AgentClient
from kip_conformance.infra.provider.kubelet_port.byte_ways import Tunnelled
from kip_conformance.infra.provider.kubelet_port.forwarding import forward_ports
from kip_conformance.infra.provider.kubelet_port.remote_command import run_command
from kip_conformance.infra.provider.kubelet_port.requests import Request
from kip_conformance.infra.provider.kubelet_port.spdy_connection import SpdyConnection, SpdyStream, StreamGone
from kip_conformance.infra.provider.kubelet_port.spdy_frames import (
    DATA,
    DICTIONARY,
    GOAWAY,
    PING,
    RST_STREAM,
    SYN_REPLY,
    SYN_STREAM,
    Frame,
    NoSpdy,
    Reader,
    Writer,
)

HEADERS = {"streamtype": "data", "port": "80", "requestid": "0"}
# The header block of SYN_STREAM 1, as zlib with the specification's dictionary begins it: the dictionary's own checksum
# is the first thing that a decompressor asks for.
DICTIONARY_ID = 0xE3C6A7C2


class Way:
    """A client in memory: `give` what it sends, `frames` are what it got."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[bytes] = asyncio.Queue()
        self.got = bytearray()
        self.client = Writer()

    async def read(self) -> bytes:
        return await self.given.get()

    async def write(self, data: bytes) -> None:
        self.got += data

    async def end(self) -> None:
        self.got += b""

    def give(self, data: bytes) -> None:
        self.given.put_nowait(data)

    def frames(self) -> list[Frame]:
        return list(Reader().feed(bytes(self.got)))


def serving(work: Callable[[Way, list[SpdyStream]], Coroutine[Any, Any, None]]) -> Way:
    """Run `work` beside a connection that takes every stream that has headers; returns what came of it."""
    way, streams = Way(), list[SpdyStream]()

    def accept(stream: SpdyStream) -> bool:
        streams.append(stream)
        return bool(stream.headers)

    async def run() -> None:
        serve = asyncio.ensure_future(SpdyConnection(way, accept).serve())
        await asyncio.wait_for(work(way, streams), 10)
        way.give(b"")
        await asyncio.wait_for(serve, 10)

    asyncio.run(run())
    return way


async def settle() -> None:
    """Let everybody do what there is to do."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_the_dictionary_is_the_specification_s():
    assert len(DICTIONARY) == 1423
    assert zlib.adler32(DICTIONARY) == DICTIONARY_ID


def test_frames_are_what_was_written_however_the_bytes_come():
    writer = Writer()
    sent = [
        writer.syn_stream(1, HEADERS),
        writer.data(1, b"hello"),
        writer.ping(7),
        writer.syn_stream(3, {"streamtype": "error"}),
        writer.syn_reply(3, {}),
        writer.data(1, b"", is_last=True),
        writer.rst_stream(3, 5),
        writer.goaway(3),
    ]
    for size in (1, 3, 1000):
        reader, data = Reader(), b"".join(sent)
        found = [one for start in range(0, len(data), size) for one in reader.feed(data[start : start + size])]
        assert [one.kind for one in found] == [SYN_STREAM, DATA, PING, SYN_STREAM, SYN_REPLY, DATA, RST_STREAM, GOAWAY]
        assert [one.number for one in found] == [1, 1, 7, 3, 3, 1, 3, 3]
        assert found[0].headers == HEADERS
        assert found[3].headers == {"streamtype": "error"}
        assert found[1].data == b"hello"
        assert found[5].is_last


def test_settings_and_windows_are_passed_over_and_headers_are_unpacked_in_between():
    writer = Writer()
    settings = bytes.fromhex("8003 0004 00 00000c 00000001 00000007 00010000")
    window = bytes.fromhex("8003 0009 00 000008 00000001 00010000")
    late = writer.syn_reply(1, {"more": "headers"})
    late = late[:3] + b"\x08" + late[4:]  # HEADERS has the form of SYN_REPLY
    found = list(Reader().feed(settings + window + late + writer.syn_stream(3, HEADERS)))

    assert [(one.kind, one.headers) for one in found] == [(SYN_STREAM, HEADERS)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("8002 0001 00 000004 00000001", id="version-2"),
        pytest.param("8003 0001 00 ffffff", id="too-long"),
        pytest.param("8003 0001 00 00000e 00000001 00000000 0000 deadbeef", id="not-compressed"),
        pytest.param("8003 0003 00 000002 0001", id="cut-off"),
    ],
)
def test_what_is_no_spdy_is_refused(data):
    with pytest.raises(NoSpdy):
        list(Reader().feed(bytes.fromhex(data)))


def test_headers_that_claim_more_than_there_is_are_refused():
    packer = zlib.compressobj(zdict=DICTIONARY)
    block = packer.compress((2).to_bytes(4) + (4).to_bytes(4) + b"name") + packer.flush(zlib.Z_SYNC_FLUSH)
    body = (1).to_bytes(4) + block
    with pytest.raises(NoSpdy):
        list(Reader().feed(b"\x80\x03\0\x02\0" + len(body).to_bytes(3) + body))


def test_a_stream_is_answered_and_carries_data_both_ways():
    async def work(way: Way, streams: list[SpdyStream]) -> None:
        way.give(
            way.client.syn_stream(1, HEADERS) + way.client.data(1, b"ping") + way.client.data(1, b"", is_last=True)
        )
        await settle()
        (stream,) = streams
        assert [await stream.read(), await stream.read()] == [b"ping", b""]
        await stream.write(b"x" * 70_000)
        await stream.end()

    found = serving(work).frames()
    assert found[0].kind == SYN_REPLY
    assert b"".join(one.data for one in found[1:]) == b"x" * 70_000
    assert [one.is_last for one in found] == [False] * (len(found) - 1) + [True]


def test_a_ping_comes_back_and_one_that_answers_ours_does_not():
    async def work(way: Way, _streams: list[SpdyStream]) -> None:
        way.give(way.client.ping(3) + way.client.ping(4))
        await settle()

    assert [(one.kind, one.number) for one in serving(work).frames()] == [(PING, 3)]


def test_a_stream_that_nobody_takes_is_reset():
    async def work(way: Way, _streams: list[SpdyStream]) -> None:
        way.give(way.client.syn_stream(1, {}) + way.client.data(1, b"for nobody"))
        await settle()

    assert [(one.kind, one.number) for one in serving(work).frames()] == [(RST_STREAM, 1)]


def test_a_stream_that_the_client_resets_is_gone():
    async def work(way: Way, streams: list[SpdyStream]) -> None:
        way.give(way.client.syn_stream(1, HEADERS) + way.client.data(1, b"unread") + way.client.rst_stream(1, 5))
        await settle()
        with pytest.raises(StreamGone):
            await streams[0].read()
        with pytest.raises(StreamGone):
            await streams[0].write(b"to nobody")

    assert [one.kind for one in serving(work).frames()] == [SYN_REPLY]


def test_streams_end_with_the_connection():
    async def work(way: Way, streams: list[SpdyStream]) -> None:
        way.give(way.client.syn_stream(1, HEADERS) + way.client.goaway(0))
        await settle()
        with pytest.raises(StreamGone):
            await streams[0].read()

    serving(work)


def test_nothing_more_is_read_while_a_stream_is_full():
    async def work(way: Way, streams: list[SpdyStream]) -> None:
        way.give(way.client.syn_stream(1, HEADERS) + way.client.data(1, bytes(3 << 20)))
        way.give(way.client.ping(3))
        await settle()
        assert [one.kind for one in way.frames()] == [SYN_REPLY]
        assert len(await streams[0].read()) == 3 << 20
        await settle()
        assert [one.kind for one in way.frames()] == [SYN_REPLY, PING]

    serving(work)


def test_a_websocket_carries_the_same_bytes():
    def masked(opcode: int, payload: bytes) -> bytes:
        whole = frame(opcode, payload)
        at = len(whole) - len(payload)
        return whole[:1] + bytes((whole[1] | 0x80,)) + whole[2:at] + bytes(4) + payload

    async def run() -> None:
        way = Way()
        tunnel = Tunnelled(way)
        stream = masked(BINARY, b"one ") + masked(BINARY, b"two")
        way.give(stream[:9])
        way.give(stream[9:])
        assert await tunnel.read() == b"one two"
        way.give(masked(BINARY, b""))
        way.give(masked(BINARY, b"three"))
        assert await tunnel.read() == b"three", "an empty message is no end"
        await tunnel.write(b"back")
        way.give(masked(CLOSE, (1000).to_bytes(2)))
        assert await tunnel.read() == b""
        await tunnel.end()
        assert way.got == frame(BINARY, b"back") + frame(CLOSE, (1000).to_bytes(2))

    asyncio.run(run())


def test_a_cell_that_cannot_be_reached_is_said_on_the_error_stream():
    async def run() -> list[Frame]:
        way = Way()
        agent = AgentClient("127.0.0.1", "127.0.0.1", ssl.create_default_context(), 9)
        forwarding = asyncio.ensure_future(forward_ports(way, agent))
        way.give(way.client.syn_stream(1, {**HEADERS, "streamtype": "error"}) + way.client.syn_stream(3, HEADERS))
        while sum(one.is_last for one in way.frames()) < 2:
            await asyncio.sleep(0)
        way.give(b"")
        await asyncio.wait_for(forwarding, 10)
        return way.frames()

    found = asyncio.run(run())
    said = b"".join(one.data for one in found if one.number == 1).decode()
    assert "error forwarding port 80 to pod: the cell's agent does not answer" in said


def test_a_cell_that_cannot_be_reached_is_the_outcome_of_a_command():
    async def run() -> list[Frame]:
        way = Way()
        agent = AgentClient("127.0.0.1", "127.0.0.1", ssl.create_default_context(), 9)
        request = Request("POST", ("exec", "default", "web", "main"), (("command", "ls"), ("output", "1")), {})
        command = asyncio.ensure_future(run_command(way, agent, request))
        way.give(way.client.syn_stream(1, {"streamtype": "error"}) + way.client.syn_stream(3, {"streamtype": "stdin"}))
        way.give(way.client.syn_stream(5, {"streamtype": "stdout"}))
        while sum(one.is_last for one in way.frames()) < 2:
            await asyncio.sleep(0)
        way.give(b"")
        await asyncio.wait_for(command, 10)
        return way.frames()

    found = asyncio.run(run())
    assert [one.number for one in found if one.kind == RST_STREAM] == [3]  # stdin was not asked for
    status = json.loads(b"".join(one.data for one in found if one.number == 1))
    assert (status["status"], status["code"]) == ("Failure", 500)
    assert "the cell's agent does not answer" in status["message"]


@pytest.mark.parametrize("headers", [{"streamtype": "data"}, {**HEADERS, "port": "0"}, {**HEADERS, "streamtype": "x"}])
def test_a_stream_without_port_or_purpose_is_reset(headers):
    async def run() -> list[Frame]:
        way = Way()
        forwarding = asyncio.ensure_future(
            forward_ports(way, AgentClient("127.0.0.1", "127.0.0.1", ssl.create_default_context(), 9))
        )
        way.give(way.client.syn_stream(1, headers))
        way.give(b"")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(forwarding, 10)
        return way.frames()

    assert [one.kind for one in asyncio.run(run())] == [RST_STREAM]
