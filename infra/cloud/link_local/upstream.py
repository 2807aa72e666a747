"""Asking the resolver of the outside world, from the network namespace that reaches it."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct

import dns.rcode
from kip_conformance.infra.cloud.facts import Upstream
from kip_conformance.infra.cloud.link_local import sockets
from kip_conformance.infra.cloud.link_local.resolver import Transport, failure, question_of

__all__ = ["PATIENCE", "Forwarder"]

PATIENCE = 2.0
"""Seconds until a question that nobody answers is a SERVFAIL."""
_MOST_AT_ONCE = 512


class Forwarder:
    """Passes questions on, each by a socket of its own, and answers SERVFAIL where none comes back."""

    def __init__(self) -> None:
        self._asking = 0

    async def ask(self, upstream: Upstream | None, wire: bytes, transport: Transport) -> bytes:
        """The answer to `wire`, as the upstream resolver gave it."""
        answer = None
        if upstream is not None and self._asking < _MOST_AT_ONCE:
            self._asking += 1
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await _exchange(upstream, wire, transport)
            except (TimeoutError, OSError, EOFError):
                pass
            finally:
                self._asking -= 1
        return answer or failure(wire, dns.rcode.SERVFAIL)


async def _exchange(upstream: Upstream, wire: bytes, transport: Transport) -> bytes:
    own_id = secrets.token_bytes(2)
    question = own_id + wire[2:]
    with sockets.inside(upstream.netns):
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        connection = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    with connection:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, (upstream.address, upstream.port))
        await loop.sock_sendall(connection, struct.pack("!H", len(question)) * (transport == "tcp") + question)
        while True:
            if transport == "tcp":
                (length,) = struct.unpack("!H", await _exactly(connection, 2))
                said = await _exactly(connection, length)
            else:
                said = await loop.sock_recv(connection, 65535)
            if len(said) > 12 and said[:2] == own_id and said[2] & 0x80 and _same_question(said, wire):
                return wire[:2] + said[2:]


def _same_question(said: bytes, wire: bytes) -> bool:
    return question_of(said).lower() == question_of(wire).lower()


async def _exactly(connection: socket.socket, count: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < count:
        part = await loop.sock_recv(connection, count - len(data))
        if not part:
            raise EOFError
        data += part
    return data
