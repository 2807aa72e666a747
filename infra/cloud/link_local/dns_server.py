"""The resolver's two protocols on asyncio, UDP and TCP; what they answer is in resolver.py.

The limit of 1024 packets a second an interface (Amazon VPC User Guide, Understanding Amazon DNS) is not simulated.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import cast

from kip_conformance.infra.cloud.link_local.connection import LimitedConnection
from kip_conformance.infra.cloud.link_local.names import NameTable
from kip_conformance.infra.cloud.link_local.resolver import Transport, decide
from kip_conformance.infra.cloud.link_local.upstream import Forwarder

__all__ = ["Answerer", "OverTcp", "OverUdp"]

_IDLE = 10.0
"""Seconds that a TCP connection may be silent."""


class Answerer:
    """Answers the clients of one VPC. `table` gives its names of the moment, None when there are none yet."""

    def __init__(self, table: Callable[[], NameTable | None], forwarder: Forwarder) -> None:
        self._table, self._forwarder = table, forwarder
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, wire: bytes, transport: Transport, send: Callable[[bytes], None]) -> None:
        """Give the answer to `send`, now or later; or never, where silence is the answer."""
        table = self._table()
        if table is None or not table.facts.dns_support:
            return
        decision = decide(table, wire, transport)
        if decision.answer is not None:
            send(decision.answer)
        elif decision.is_for_upstream:
            task = asyncio.get_running_loop().create_task(self._pass_on(table, wire, transport, send))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self, table: NameTable, wire: bytes, transport: Transport, send: Callable[[bytes], None]
    ) -> None:
        send(await self._forwarder.ask(table.facts.upstream, wire, transport))


class OverUdp(asyncio.DatagramProtocol):
    """One datagram, one question."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # Python 3.11's own is no subclass of it

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._answerer.answer(data, "udp", lambda answer: self._send(answer, address))

    def _send(self, answer: bytes, address: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, address)


class OverTcp(LimitedConnection):
    """A connection: messages with their length before them (RFC 7766); answers may overtake each other."""

    def __init__(self, answerer: Answerer, open_ones: set[OverTcp]) -> None:
        super().__init__(open_ones, _IDLE)
        self._answerer = answerer
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._wait()
        while len(self._buffer) >= 2:
            (length,) = struct.unpack_from("!H", self._buffer)
            if len(self._buffer) < 2 + length:
                return
            wire = bytes(self._buffer[2 : 2 + length])
            del self._buffer[: 2 + length]
            self._answerer.answer(wire, "tcp", self._send)

    def _send(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(struct.pack("!H", len(answer)) + answer)
