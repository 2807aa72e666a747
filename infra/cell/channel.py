"""An upgraded connection: channels over WebSocket over TLS, in one thread with whatever else it has to watch.

Kubernetes' `remotecommand` protocol: the first byte of a binary message is its channel (0 stdin, 1 stdout, 2 stderr,
3 error, 4 resize); with v5, `255 n` closes channel n.
"""

from __future__ import annotations

import contextlib
import json
import select
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kip_conformance.infra.cell.http import Request
from kip_conformance.infra.cell.problems import Refused
from kip_conformance.infra.cell.websocket import BINARY, CLOSE, PING, PONG, TEXT, Frames, frame, handshake

__all__ = [
    "ERROR",
    "FULL",
    "RESIZE",
    "STDERR",
    "STDIN",
    "STDOUT",
    "V4",
    "V5",
    "Channel",
    "exit_status",
    "failure_status",
]

V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
_CLOSES = 255
FULL = 1 << 20
"""Bytes that wait to be sent before nothing more is taken from the pod, and the other way."""
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL
_PING_EVERY, _PATIENCE, _CLOSING = 30.0, 90.0, 5.0
"""Seconds."""


class Channel:
    """`on_message` gets (channel, data); data is None when the client closes that channel, or goes away.

    `handlers` are descriptors that the owner watches: number -> what to do when it is readable.
    """

    def __init__(self, request: Request, connection: ssl.SSLSocket, before: bytearray, spoken: Sequence[str]) -> None:
        self.protocol, answer = handshake(request.headers, spoken)
        connection.sendall(answer)
        connection.setblocking(False)
        self.connection = connection
        self.handlers: dict[int, Callable[[], None]] = {}
        self.writers: dict[int, Callable[[], None]] = {}
        self.is_full: Callable[[], bool] = lambda: False
        """Whether the owner holds so much of what the client sent that nothing more is taken from it."""
        self.is_over = False
        self._out = bytearray()
        self._frames = Frames()
        self._early = bytes(before)
        self._heard = time.monotonic()
        before.clear()

    def send(self, channel: int, data: bytes) -> None:
        self._out += frame(BINARY, bytes((channel,)) + data)

    def close_channel(self, channel: int) -> None:
        """Only v5 can say it."""
        if self.protocol == V5:
            self._out += frame(BINARY, bytes((_CLOSES, channel)))

    def close(self) -> None:
        """Normal closure; what waits is sent first."""
        self._out += frame(CLOSE, (1000).to_bytes(2, "big"))
        self.is_over = True

    def run(self, on_message: Callable[[int, bytes | None], None]) -> None:
        """Until `close`, or until the client has gone. The socket is left as it is."""
        with contextlib.suppress(OSError, Refused):
            self._take(self._early, on_message)
            while not self.is_over:
                self._turn(on_message)
            self._flush()
            return
        on_message(STDIN, None)

    def _turn(self, on_message: Callable[[int, bytes | None], None]) -> None:
        self._write()
        poll = select.poll()
        waits = self.is_full()
        wants = (0 if waits else select.POLLIN) | (select.POLLOUT if self._out else 0)
        own = self.connection.fileno()
        poll.register(own, wants)
        if len(self._out) < FULL:
            for number in self.handlers:
                poll.register(number, select.POLLIN)
        for number in self.writers:
            poll.register(number, select.POLLOUT)
        pause = 0.0 if self.connection.pending() and not waits else _PING_EVERY
        ready = poll.poll(pause * 1000)
        if waits:
            self._heard = time.monotonic()  # its silence is our own doing
            if any(number == own and event & _GONE for number, event in ready):
                raise ConnectionError
        elif self.connection.pending() or any(number == own for number, _ in ready):
            self._read(on_message)
        elif not ready:
            if time.monotonic() - self._heard > _PATIENCE:
                raise TimeoutError
            self._out += frame(PING)
        for number, _ in ready:
            for known in (self.handlers, self.writers):
                handler = known.get(number)
                if handler is not None:
                    handler()

    def _read(self, on_message: Callable[[int, bytes | None], None]) -> None:
        try:
            data = self.connection.recv(64 << 10)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        if not data:
            raise ConnectionError
        self._heard = time.monotonic()
        self._take(data, on_message)

    def _take(self, data: bytes, on_message: Callable[[int, bytes | None], None]) -> None:
        for opcode, payload in self._frames.feed(data):
            if opcode == PING:
                self._out += frame(PONG, payload)
            elif opcode == CLOSE:
                with contextlib.suppress(OSError):
                    self._out += frame(CLOSE, payload[:2])
                    self._write()
                raise ConnectionError
            elif opcode in (BINARY, TEXT) and payload:
                if payload[0] == _CLOSES and self.protocol == V5:
                    if len(payload) > 1:
                        on_message(payload[1], None)
                else:
                    on_message(payload[0], payload[1:])

    def _write(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while self._out:
                # A write that has to be repeated must be of the same bytes: SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER is set
                # by the ssl module, and the piece's beginning stays.
                sent = self.connection.send(self._out[: 16 << 10])
                del self._out[:sent]

    def _flush(self) -> None:
        """Send what waits, then wait for the client's own close: what it still sends is of no use to anybody."""
        self.connection.settimeout(_CLOSING)
        self.connection.sendall(self._out)
        while data := self.connection.recv(64 << 10):
            if any(opcode == CLOSE for opcode, _ in self._frames.feed(data)):
                return


def exit_status(code: int) -> bytes:
    """A v1 Status for how a program ended, as kubelet words it."""
    if code == 0:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    causes = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
    return _failure("NonZeroExitCode", f"command terminated with non-zero exit code: exit status {code}", causes)


def failure_status(message: str) -> bytes:
    """A v1 Status for what went wrong before or around the program."""
    return _failure("InternalError", message, {"causes": [{"message": message}]}, code=500)


def _failure(reason: str, message: str, details: Mapping[str, Any], **more: Any) -> bytes:
    told = {"metadata": {}, "status": "Failure", "reason": reason, "message": message, "details": details, **more}
    return json.dumps(told).encode()
