"""HTTP/1.1 as the agent speaks it: a request read, an answer written, on a socket that blocks.

By hand: the standard library's server costs a cell two mebibytes. RFC 9112; bodies need a Content-Length.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from kip_conformance.infra.cell.problems import Refused

__all__ = ["ChunkedBody", "Request", "read_request", "send_json"]

_HEAD, _BODY = 64 << 10, 8 << 20
"""Bytes that a request's head and body may have."""
_REASONS = {
    101: "Switching Protocols",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is unquoted and split at slashes; a query's names may be repeated. Header names are in small letters."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Raises Refused when the body is no JSON object."""
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise Refused(400, f"the body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise Refused(400, "the body must be a JSON object")
        return value

    def text(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[-1]

    def number(self, name: str, default: int | None = None) -> int | None:
        """Raises Refused for what is no number that is zero or more."""
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit()):
            raise Refused(400, f"{name}={text}: a number is needed")
        return int(text)

    def flag(self, name: str) -> bool:
        return self.text(name, "false").lower() in ("1", "true", "yes")


def read_request(connection: socket.socket, before: bytearray) -> Request | None:
    """The next request; None at the end of the stream. `before` holds bytes that were read already, and what is left.

    Raises Refused for what is no HTTP, or too large, and OSError.
    """
    while (end := before.find(b"\r\n\r\n")) < 0:
        if len(before) > _HEAD:
            raise Refused(413, f"the request's head is larger than {_HEAD} bytes")
        part = connection.recv(16384)
        if not part:
            return None
        before += part
    first, *lines = bytes(before[:end]).decode("latin-1").split("\r\n")
    del before[: end + 4]
    try:
        method, target, protocol = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
    except ValueError as error:
        raise Refused(400, "this is no HTTP/1.1 request") from error
    if not protocol.startswith("HTTP/1."):
        raise Refused(400, f"{protocol} is not spoken here")
    if "transfer-encoding" in headers:
        raise Refused(411, "send the body with a Content-Length")
    if not 0 <= length <= _BODY:
        raise Refused(413, f"the body is larger than {_BODY} bytes")
    if length and headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while len(before) < length:
        part = connection.recv(65536)
        if not part:
            return None
        before += part
    body = bytes(before[:length])
    del before[:length]
    split = urlsplit(target)
    path = tuple(unquote(part) for part in split.path.split("/") if part)
    query = parse_qs(split.query, keep_blank_values=True)
    return Request(method, path, query, headers, body)


def send_json(connection: socket.socket, status: int, value: Mapping[str, Any]) -> None:
    """Raises OSError."""
    body = json.dumps(value, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    connection.sendall(f"{head}\r\n".encode() + body)


class ChunkedBody:
    """An answer whose length is not known: 200, plain text, in chunks. Raises OSError when nobody listens."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())

    def write(self, data: bytes) -> None:
        if data:
            self.connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self) -> None:
        self.connection.sendall(b"0\r\n\r\n")
