"""Clients that behave badly, on loopback: the metadata service and the resolver over TCP."""

from __future__ import annotations

import asyncio
import struct

import dns.message
import pytest
from kip_conformance.infra.cloud.link_local import dns_server, metadata
from kip_conformance.infra.cloud.link_local.names import NameTable
from kip_conformance.infra.cloud.link_local.upstream import Forwarder

from .some_facts import REGION, instance, zone

GET = b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\n\r\n"


def visit(protocol, scenario):
    """Run a scenario against a server of this protocol; it gets a function that connects."""

    async def run():
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        writers = []

        async def connect():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            return reader, writer

        async with asyncio.timeout(10):
            await scenario(connect)
        for writer in writers:
            writer.close()
        server.close()

    asyncio.run(run())


@pytest.fixture
def service():
    tokens, visitors = metadata.Tokens(), set()
    return lambda: metadata.Connection(instance, tokens, visitors)


@pytest.fixture
def resolver():
    answerer, askers = dns_server.Answerer(lambda: NameTable.of(zone()), Forwarder()), set()
    return lambda: dns_server.OverTcp(answerer, askers)


def test_the_sixty_fifth_connection_is_ended_and_one_that_goes_makes_room(service):
    async def scenario(connect):
        held = [await connect() for _ in range(64)]
        for reader, writer in held:
            writer.write(GET)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        reader, writer = await connect()
        writer.write(GET)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        held[0][1].close()
        await held[0][1].wait_closed()
        while True:  # the server learns of it a moment later
            reader, writer = await connect()
            writer.write(GET)
            try:
                if (await reader.readline()).startswith(b"HTTP/1.1 200"):
                    return
            except ConnectionError:
                continue

    visit(service, scenario)


def test_too_many_requests_in_one_piece_are_refused(service):
    async def scenario(connect):
        reader, writer = await connect()
        writer.write(GET * 17)
        assert (await reader.read()).startswith(b"HTTP/1.1 400")

    visit(service, scenario)


def test_a_few_requests_in_one_piece_are_answered_in_order(service):
    async def scenario(connect):
        reader, writer = await connect()
        writer.write(GET * 15 + GET.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        assert (await reader.read()).count(b"HTTP/1.1 200") == 16

    visit(service, scenario)


def test_many_questions_over_one_connection(resolver):
    async def scenario(connect):
        reader, writer = await connect()
        queries = [dns.message.make_query(f"ip-10-20-1-11.{REGION}.compute.internal", "A") for _ in range(200)]
        wires = b"".join(struct.pack("!H", len(wire)) + wire for wire in (query.to_wire() for query in queries))
        for start in range(0, len(wires), 7):  # in pieces that end anywhere
            writer.write(wires[start : start + 7])
        ids = []
        for _ in queries:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            ids.append(dns.message.from_wire(await reader.readexactly(length)).id)
        assert ids == [query.id for query in queries]

    visit(resolver, scenario)
