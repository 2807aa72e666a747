"""What the forwarder keeps of a connection that is over: nothing, whichever side ended first."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
from kip_conformance.infra.lab.forwarder import serve


def test_both_directions_pass_and_nothing_is_kept_of_what_is_over():
    asyncio.run(_exchange(client_first=True))


def test_a_server_that_ends_first_leaves_nothing_either():
    asyncio.run(_exchange(client_first=False))


async def _exchange(*, client_first: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await (reader.read() if client_first else reader.readexactly(5))
        writer.write(said.upper())
        writer.write_eof()
        await reader.read()
        writer.close()

    target = await asyncio.start_server(answer, "127.0.0.1", 0)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    forwarding = asyncio.create_task(serve(listener, target.sockets[0].getsockname()))
    before = _open_sockets()
    for _ in range(5):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"hello")
        if client_first:
            writer.write_eof()
        assert await reader.read() == b"HELLO"
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(5):
        while _open_sockets() != before:
            await asyncio.sleep(0)
    forwarding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forwarding
    target.close()


def _open_sockets() -> int:
    """Of this process."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
        except FileNotFoundError:  # the listing's own
            continue
    return found
