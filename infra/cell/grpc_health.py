"""A gRPC probe: one call of grpc.health.v1.Health/Check, by as much HTTP/2 as one call needs.

Sources: RFC 9113 (frames), RFC 7541 (headers, which are sent without compression and not read), "gRPC over HTTP2",
"gRPC Health Checking Protocol". An answer is good when its message says SERVING: servers send a message only with
success. As kubelet does, it speaks without TLS.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["ask_grpc", "request_bytes"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_STREAM = 1
_LONGEST = 16384
"""Bytes of a frame, as long as nobody allows more."""
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_SERVING = 1


class _Bad(Exception):
    """What was seen instead of an answer."""


def ask_grpc(host: str, what: Mapping[str, Any], timeout: float) -> tuple[bool, str]:
    """Whether the service is serving, and what was seen when not. `what` has port and, perhaps, service."""
    port, service = int(what["port"]), str(what.get("service") or "")
    deadline = time.monotonic() + timeout
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(request_bytes(f"{host}:{port}", service))
            status = _status_in(_message(connection, deadline))
    except TimeoutError:
        return False, f"gRPC {host}:{port}: no answer of grpc.health.v1.Health within {timeout:g} s"
    except OSError as error:
        return False, f"gRPC {host}:{port}: {(error.strerror or str(error)).lower()}"
    except _Bad as error:
        return False, f"gRPC {host}:{port}: {error}"
    if status == _SERVING:
        return True, ""
    named = _STATUSES[status] if status < len(_STATUSES) else str(status)
    return False, f'gRPC {host}:{port}: service "{service}" is unhealthy, it answered {named}'


def request_bytes(authority: str, service: str) -> bytes:
    """All that a client sends: preface, settings, the call's headers and its one message."""
    name = service.encode()
    request = b"\x0a" + _varint(len(name)) + name if name else b""  # HealthCheckRequest.service
    message = b"\0" + len(request).to_bytes(4, "big") + request  # not compressed
    headers = b"\x83\x86"  # :method POST, :scheme http
    headers += b"\x04" + _text("/grpc.health.v1.Health/Check")  # :path
    headers += b"\x01" + _text(authority)  # :authority
    headers += b"\x0f\x10" + _text("application/grpc")  # content-type
    headers += b"\0" + _text("te") + _text("trailers")
    headers += b"\x0f\x2b" + _text("kube-probe/1.0")  # user-agent
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0)
        + _frame(_HEADERS, _END_HEADERS, _STREAM, headers)
        + _frame(_DATA, _END_STREAM, _STREAM, message)
    )


def _message(connection: socket.socket, deadline: float) -> bytes:
    """The answer's message. Raises _Bad, and OSError."""
    said = b""
    for kind, flags, stream, payload in _frames(connection, deadline):
        if kind == _SETTINGS and not flags & _ACK:
            connection.sendall(_frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            connection.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            raise _Bad("the server ended the connection")
        elif stream == _STREAM and kind == _RST_STREAM:
            raise _Bad(f"the server ended the call with error {int.from_bytes(payload, 'big')}")
        elif stream == _STREAM and kind in (_DATA, _HEADERS):
            if kind == _DATA:
                said += _unpadded(flags, payload)
            if len(said) >= 5 and len(said) >= 5 + int.from_bytes(said[1:5], "big"):
                if said[0]:
                    raise _Bad("the answer is compressed, which was not asked for")
                return said[5 : 5 + int.from_bytes(said[1:5], "big")]
            if flags & _END_STREAM:
                raise _Bad("an error instead of a status: this service, or grpc.health.v1 itself, is not known there")
    raise _Bad("the server closed the connection before it answered")


def _frames(connection: socket.socket, deadline: float) -> Iterator[tuple[int, int, int, bytes]]:
    """(kind, flags, stream, payload) until the server closes. Raises _Bad, and OSError."""
    held = bytearray()
    while True:
        while len(held) >= 9 and len(held) >= 9 + (size := int.from_bytes(held[:3], "big")):
            yield held[3], held[4], int.from_bytes(held[5:9], "big") & 0x7FFFFFFF, bytes(held[9 : 9 + size])
            del held[: 9 + size]
        if len(held) >= 9 and int.from_bytes(held[:3], "big") > _LONGEST:  # an answer of HTTP/1 reads like this, too
            raise _Bad("the server speaks no HTTP/2")
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(_LONGEST)
        if not part:
            return
        held += part


def _status_in(message: bytes) -> int:
    """HealthCheckResponse.status; zero, UNKNOWN, is not written out. Raises _Bad."""
    if not message:
        return 0
    status = message[1] if len(message) == 2 and message[0] == 0x08 else -1
    if not 0 <= status < 0x80:
        raise _Bad("the answer is no HealthCheckResponse")
    return status


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise _Bad("the server speaks no HTTP/2")
    return payload[1 : len(payload) - payload[0]]


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _text(text: str) -> bytes:
    """A string of RFC 7541, not compressed."""
    data = text.encode()
    if len(data) < 127:
        return bytes((len(data),)) + data
    return b"\x7f" + _varint(len(data) - 127) + data


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first: as in protocol buffers, and in RFC 7541 after a full prefix."""
    made = bytearray()
    while number > 0x7F:
        made.append(0x80 | number & 0x7F)
        number >>= 7
    return bytes((*made, number))
