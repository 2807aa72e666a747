"""The time service at 169.254.169.123 (Amazon EC2 User Guide, Precision clock and time synchronization): SNTP.

It tells this machine's own time, by the short form of RFC 4330; nothing here disciplines a clock.
"""

from __future__ import annotations

import asyncio
import struct
import time
from typing import cast

__all__ = ["OverUdp", "reply"]

_SINCE_1900 = 2_208_988_800
_REQUEST = 48


def reply(request: bytes, now: float) -> bytes | None:
    """The answer to a client's packet at `now`, in seconds since 1970; None when it is no client's packet."""
    if len(request) < _REQUEST or request[0] & 0x07 != 3:
        return None
    version = request[0] & 0x38
    stamp = _stamp(now)
    head = struct.pack("!BBbb", version | 4, 3, 4, -20)
    # Root delay and dispersion of a millisecond, and a reference that is an address, as for every stratum above one.
    middle = struct.pack("!II4s", 0x42, 0x42, bytes((169, 254, 169, 122)))
    return head + middle + stamp + request[40:48] + stamp + stamp


def _stamp(now: float) -> bytes:
    seconds = int(now)
    return struct.pack("!II", (seconds + _SINCE_1900) & 0xFFFFFFFF, int((now - seconds) * (1 << 32)))


class OverUdp(asyncio.DatagramProtocol):
    """One datagram, one answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # Python 3.11's own is no subclass of it

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if (said := reply(data, time.time())) is not None and not self._transport.is_closing():
            self._transport.sendto(said, address)
