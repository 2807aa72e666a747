"""WebSocket (RFC 6455), the server's side: the answer to an upgrade, and frames from and to bytes. No sockets here."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence

from kip_conformance.infra.cell.problems import Refused

__all__ = ["BINARY", "CLOSE", "PING", "PONG", "TEXT", "Frames", "frame", "handshake"]

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_CONTINUATION = 0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LONGEST = 32 << 20
"""Bytes of one message; clients of Kubernetes send 32 KiB."""


def handshake(headers: Mapping[str, str], spoken: Sequence[str]) -> tuple[str, bytes]:
    """The subprotocol that both speak, best first in `spoken`, and the answer. Raises Refused when there is none."""
    key = headers.get("sec-websocket-key", "")
    if headers.get("upgrade", "").lower() != "websocket" or not key:
        raise Refused(400, "this path needs a WebSocket upgrade")
    if headers.get("sec-websocket-version", "13") != "13":
        raise Refused(400, "WebSocket version 13 is spoken here")
    offered = [one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")]
    chosen = next((one for one in spoken if one in offered), None)
    if chosen is None:
        raise Refused(400, f"subprotocol {', '.join(offered) or 'none'}: this path speaks {', '.join(spoken)}")
    accept = base64.b64encode(hashlib.sha1(key.encode("latin-1") + _GUID).digest()).decode()
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
        f"Sec-WebSocket-Protocol: {chosen}",
        "",
        "",
    )
    return chosen, "\r\n".join(lines).encode()


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """One whole message, unmasked as a server's are."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


class Frames:
    """Messages out of the bytes that a client sends. Raises Refused for what breaks the protocol."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._opcode = 0
        self._parts = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(opcode, payload) of every message that is whole now."""
        self._bytes += data
        while (one := self._next()) is not None:
            is_last, opcode, payload = one
            if opcode >= CLOSE:
                yield opcode, payload
                continue
            if opcode != _CONTINUATION:
                self._opcode = opcode
                self._parts.clear()
            self._parts += payload
            if len(self._parts) > _LONGEST:
                raise Refused(400, "a message is too long")
            if is_last:
                yield self._opcode, bytes(self._parts)
                self._parts.clear()

    def _next(self) -> tuple[bool, int, bytes] | None:
        held = self._bytes
        if len(held) < 2:
            return None
        is_last, opcode, is_masked, size = bool(held[0] & 0x80), held[0] & 0x0F, held[1] & 0x80, held[1] & 0x7F
        if held[0] & 0x70 or not is_masked:
            raise Refused(400, "a client's frames are masked and use no extension")
        at = 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(held) < at + width:
                return None
            size = int.from_bytes(held[at : at + width], "big")
            at += width
        if size > _LONGEST:
            raise Refused(400, "a frame is too long")
        if len(held) < at + 4 + size:
            return None
        mask, payload = bytes(held[at : at + 4]), bytes(held[at + 4 : at + 4 + size])
        del held[: at + 4 + size]
        return is_last, opcode, _unmasked(payload, mask)


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    whole = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")
