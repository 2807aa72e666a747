"""The seam between a conversation and what carries it: a Channel sends bytes and yields lines.

No meaning of the lines here (link.py) and no transport (exec_stream.py, pipe.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

__all__ = ["Channel", "ChannelLost", "LineBuffer"]


class ChannelLost(Exception):
    """The conversation ended or went silent. Says nothing about the cluster; link.py decides what becomes of it."""


class Channel(Protocol):
    """A held, two-way conversation with a process in a place."""

    async def send(self, data: bytes) -> None:
        """Send all of it. Raises ChannelLost when that fails or blocks for long."""

    def lines(self) -> AsyncIterator[bytes]:
        """Lines without their newline, until the channel ends. Raises ChannelLost with all that is known of the end."""

    async def close(self) -> None:
        """Give the channel up; never raises and never takes longer than a second or two."""


class LineBuffer:
    """Puts lines together from pieces that end anywhere."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes."""
        self._rest += data
        if b"\n" not in data:
            return
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        yield from lines

    @property
    def rest(self) -> bytes:
        """What came after the last newline."""
        return bytes(self._rest)
