"""A client's TCP connection to one of the services: one of a limited number, and ended when it is silent for long."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["LimitedConnection"]

_MOST_CONNECTIONS = 64


class LimitedConnection(asyncio.Protocol):
    """`open_ones` has all connections of a listener. `idle` is the seconds that one may be silent.

    Whoever hears something calls `_wait`, which gives the client that time again.
    """

    def __init__(self, open_ones: set[Any], idle: float) -> None:
        self._open_ones, self._idle = open_ones, idle
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._open_ones) >= _MOST_CONNECTIONS:
            transport.abort()
            return
        self._open_ones.add(self)
        self._opened(transport)
        self._wait()

    def connection_lost(self, error: Exception | None) -> None:
        self._open_ones.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()

    def pause_writing(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        assert self._transport is not None
        self._transport.resume_reading()

    def close(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _opened(self, transport: asyncio.Transport) -> None:
        """For what a service sets on a connection that it takes."""

    def _wait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(self._idle, self.close)
