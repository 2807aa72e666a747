"""HTTP/1.1 as far as the metadata service needs it: requests out of bytes with strict limits, answers into bytes.

Written here and not taken from a library for two reasons. The service sets the IP hop limit of a connection before
its answer leaves, which needs the socket at that point. And there is one listener an instance: aiohttp, which is
installed anyway, takes 0.7 s to import, and a listener of it several times the memory of one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

__all__ = ["MAX_BODY", "MAX_HEAD", "BadRequest", "Request", "RequestReader", "answer"]

MAX_HEAD = 8192
"""Bytes of a request's first line and headers together."""
MAX_HEADERS = 64
MAX_BODY = 65536
"""Bytes of a request's body, which nothing here uses."""


class BadRequest(Exception):
    """A request that cannot be taken; the connection ends with this status."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are in lower case; `path` is decoded and has no query."""

    method: str
    path: str
    headers: Mapping[str, str]
    keeps_alive: bool = True


class RequestReader:
    """Bytes in, whole requests out; bodies are counted and thrown away."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body_left = 0
        self._waiting: Request | None = None

    def feed(self, data: bytes) -> list[Request]:
        """The requests that are complete now. Raises BadRequest, after which the reader is of no more use."""
        self._buffer += data
        complete: list[Request] = []
        while True:
            if self._waiting is None:
                self._waiting = self._head()
                if self._waiting is None:
                    return complete
            taken = min(self._body_left, len(self._buffer))
            del self._buffer[:taken]
            self._body_left -= taken
            if self._body_left:
                return complete
            complete.append(self._waiting)
            self._waiting = None

    def _head(self) -> Request | None:
        while self._buffer[:2] == b"\r\n":  # a robust server ignores empty lines before a request (RFC 9112, 2.2)
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 and len(self._buffer) <= MAX_HEAD:
            return None
        if end < 0 or end > MAX_HEAD:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        first, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        headers = _headers(lines)
        self._body_left = _body_length(headers)
        return _request(first, headers)


def _request(first: str, headers: Mapping[str, str]) -> Request:
    parts = first.split(" ")
    if len(parts) != 3 or not parts[0].isalpha() or not parts[1]:
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    method, target, version = parts
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED if version.startswith("HTTP/") else HTTPStatus.BAD_REQUEST
        )
    if version == "HTTP/1.1" and "host" not in headers:
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    if target.startswith("http://"):  # the absolute form, which every server must accept (RFC 9112, 3.2.2)
        target = "/" + target.removeprefix("http://").partition("/")[2]
    if not target.startswith("/"):
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    wishes = headers.get("connection", "").lower()
    keeps_alive = wishes == "keep-alive" if version == "HTTP/1.0" else wishes != "close"
    return Request(method, unquote(target.partition("?")[0]), headers, keeps_alive)


def _headers(lines: list[str]) -> dict[str, str]:
    if len(lines) > MAX_HEADERS:
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(HTTPStatus.BAD_REQUEST)
        name, value = name.lower(), value.strip(" \t")
        if name in ("content-length", "host") and headers.get(name, value) != value:
            raise BadRequest(HTTPStatus.BAD_REQUEST)
        headers[name] = value
    return headers


def _body_length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadRequest(HTTPStatus.NOT_IMPLEMENTED)
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    if len(text) > 9 or int(text) > MAX_BODY:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(text)


def answer(
    status: HTTPStatus,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    keeps_alive: bool = True,
    has_body: bool = True,
) -> bytes:
    """The bytes of an answer. Without `has_body`, as for HEAD, the length is said and the body left out."""
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Server: EC2ws",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
        f"Connection: {'keep-alive' if keeps_alive else 'close'}",
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body if has_body else b"")
