"""Port forwarding by WebSocket, as kubelet has it: for port n channel 2n carries its data, 2n+1 its errors.

Both begin with the port's number in two bytes, the lower one first. With v5 a client can say that it writes no more on
a channel: the pod's program reads the end of its input then, and may still answer. The connection is made inside the
pod's network namespace, to 127.0.0.1: what listens there only is reached too.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING

from kip_conformance.infra.cell.channel import FULL, V4, V5, Channel
from kip_conformance.infra.cell.datapath import NETNS
from kip_conformance.infra.cell.problems import Refused

if TYPE_CHECKING:
    from kip_conformance.infra.cell.http import Request

__all__ = ["forward", "ports_of"]

_CLONE_NEWNET = 0x40000000
_BLOCK = 32 << 10
_SECONDS = 10.0

PROTOCOLS = (V5, V4)


def ports_of(request: Request) -> list[int]:
    """Raises Refused."""
    wanted = [part for text in request.query.get("ports", []) for part in text.split(",") if part]
    if not wanted or not all(part.isdigit() and 0 < int(part) < 1 << 16 for part in wanted):
        raise Refused(400, f"ports={','.join(wanted)}: one or more numbers from 1 to 65535 are needed")
    return [int(part) for part in wanted]


def forward(channel: Channel, ports: list[int], *, is_on_host_network: bool) -> None:
    """Returns when the client has gone, or every connection has ended."""
    made = _Forwarding(channel)
    for number, port in enumerate(ports):
        for which in (2 * number, 2 * number + 1):
            channel.send(which, port.to_bytes(2, "little"))
        try:
            made.add(2 * number, _connect(port, is_on_host_network=is_on_host_network))
        except OSError as error:
            why = f"error forwarding port {port} to pod: connection failed: {error.strerror or error}"
            channel.send(2 * number + 1, why.encode())
    made.run()


class _Forwarding:
    """Connections to the pod by their channel, and what waits to be written to each."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.made: dict[int, socket.socket] = {}
        self.waiting: dict[int, bytearray] = {}
        self.ending: set[int] = set()
        """Channels on which the client writes no more."""

    def add(self, which: int, made: socket.socket) -> None:
        made.setblocking(False)
        self.made[which], self.waiting[which] = made, bytearray()
        self.channel.handlers[made.fileno()] = partial(self._from_pod, which)

    def run(self) -> None:
        if not self.made:
            self.channel.close()
        self.channel.is_full = lambda: any(len(one) > FULL for one in self.waiting.values())
        try:
            self.channel.run(self._heard)
        finally:
            for made in self.made.values():
                made.close()

    def _heard(self, which: int, data: bytes | None) -> None:
        if which not in self.made:
            return
        if data is None:
            self.ending.add(which)
        else:
            self.waiting[which] += data
        self._to_pod(which)

    def _from_pod(self, which: int) -> None:
        try:
            data = self.made[which].recv(_BLOCK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.channel.send(which, data)
        else:
            self._end(which)

    def _to_pod(self, which: int) -> None:
        made, waiting = self.made[which], self.waiting[which]
        try:
            while waiting:
                del waiting[: made.send(waiting[:_BLOCK])]
            if which in self.ending:
                made.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self.channel.writers[made.fileno()] = partial(self._to_pod, which)
        except OSError:
            self._end(which)
        else:
            self.channel.writers.pop(made.fileno(), None)

    def _end(self, which: int) -> None:
        made = self.made.pop(which)
        self.waiting.pop(which)
        self.channel.handlers.pop(made.fileno(), None)
        self.channel.writers.pop(made.fileno(), None)
        made.close()
        self.channel.close_channel(which)
        if not self.made:
            self.channel.close()


def _connect(port: int, *, is_on_host_network: bool) -> socket.socket:
    """Raises OSError."""
    if is_on_host_network:
        return socket.create_connection(("127.0.0.1", port), timeout=_SECONDS)
    found: list[socket.socket] = []
    problems: list[OSError] = []

    def inside() -> None:
        # A thread of its own, which ends in the other namespace: it must never serve anybody else.
        try:
            import ctypes

            namespace = os.open(f"/run/netns/{NETNS}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            finally:
                os.close(namespace)
            found.append(socket.create_connection(("127.0.0.1", port), timeout=_SECONDS))
        except OSError as error:
            problems.append(error)

    thread = threading.Thread(target=inside, daemon=True)
    thread.start()
    thread.join()
    with contextlib.suppress(IndexError):
        return found[0]
    raise problems[0]
