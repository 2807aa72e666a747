"""SPDY/3.1 frames as bytes, as much of them as Kubernetes' streams use. No sockets here.

Source: "SPDY Protocol - Draft 3.1": the two kinds of frames, headers compressed by zlib with a dictionary that both
sides know. Kubernetes' own implementation sends no SETTINGS and no WINDOW_UPDATE and expects none: how much is under
way is for TCP to say.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kip_conformance.infra.errors import KipError

__all__ = [
    "DATA",
    "DICTIONARY",
    "GOAWAY",
    "PING",
    "RST_STREAM",
    "SYN_REPLY",
    "SYN_STREAM",
    "Frame",
    "NoSpdy",
    "Reader",
    "Writer",
]

DATA, SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY, _HEADERS = 0, 1, 2, 3, 6, 7, 8
"""Kinds of frames; zero is none of the specification's numbers, it stands for a frame of data."""
_VERSION = 3
_CONTROL, _NUMBER = 0x80000000, 0x7FFFFFFF
_FIN = 0x01
_LONGEST_CONTROL, _LONGEST_HEADERS = 64 << 10, 256 << 10
"""Bytes. A header block is a handful of short words; data may be as long as a frame can say, 16 MiB."""

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)


def _word(text: str) -> bytes:
    return len(text).to_bytes(4) + text.encode("latin-1")


DICTIONARY = b"".join(_word(word.replace("_", " ")) for word in _WORDS.split()) + _TAIL.encode()
"""What compressed headers refer to: words with their lengths, then text; 1423 bytes."""


class NoSpdy(KipError):
    """The other side does not keep to the protocol: nothing that it sends afterwards means anything."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`number` is the stream's; of a ping its id, of a GOAWAY the last stream's. `is_last` is the flag FIN."""

    kind: int
    number: int = 0
    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_last: bool = False


class Reader:
    """Frames out of the bytes that come. Kinds that are of no use here are passed over."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._headers = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Every frame that is whole now. Raises NoSpdy."""
        self._held += data
        while len(self._held) >= 8:
            first, flags, size = int.from_bytes(self._held[:4]), self._held[4], int.from_bytes(self._held[5:8])
            if first & _CONTROL and size > _LONGEST_CONTROL:
                raise NoSpdy(f"SPDY: a control frame of {size} bytes is too long")
            if len(self._held) < 8 + size:
                return
            body = bytes(self._held[8 : 8 + size])
            del self._held[: 8 + size]
            is_last = bool(flags & _FIN)
            if not first & _CONTROL:
                yield Frame(DATA, first & _NUMBER, body, is_last=is_last)
            elif (frame := self._control(first, body, is_last=is_last)) is not None:
                yield frame

    def _control(self, first: int, body: bytes, *, is_last: bool) -> Frame | None:
        version, kind = (first & _NUMBER) >> 16, first & 0xFFFF
        if version != _VERSION:
            raise NoSpdy(f"SPDY: version {version} is not spoken here")
        # Blocks of headers depend on each other: each must be unpacked, whoever wants it.
        before = {SYN_STREAM: 10, SYN_REPLY: 4, _HEADERS: 4}.get(kind)
        headers = self._unpacked(body[before:]) if before is not None else {}
        if kind not in (SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY):
            return None
        if len(body) < 4:
            raise NoSpdy(f"SPDY: a control frame of kind {kind} is cut off")
        number = int.from_bytes(body[:4])
        return Frame(kind, number if kind == PING else number & _NUMBER, headers=headers, is_last=is_last)

    def _unpacked(self, block: bytes) -> dict[str, str]:
        try:
            text = self._headers.decompress(block, _LONGEST_HEADERS)
        except zlib.error as error:
            raise NoSpdy(f"SPDY: headers cannot be unpacked: {error}") from error
        words, at = [], 4
        while at < len(text):
            size = int.from_bytes(text[at : at + 4])
            words.append(text[at + 4 : at + 4 + size].decode("latin-1"))
            at += 4 + size
        if at != len(text) or len(words) != 2 * int.from_bytes(text[:4]):
            raise NoSpdy("SPDY: a block of headers is not as long as it says")
        return dict(zip((name.lower() for name in words[::2]), words[1::2], strict=True))


class Writer:
    """Frames as the bytes to send, in this order: compressed headers depend on those before them."""

    def __init__(self) -> None:
        self._headers = zlib.compressobj(zdict=DICTIONARY)

    def data(self, number: int, data: bytes, *, is_last: bool = False) -> bytes:
        return number.to_bytes(4) + bytes((_FIN if is_last else 0,)) + len(data).to_bytes(3) + data

    def syn_stream(self, number: int, headers: Mapping[str, str]) -> bytes:
        return self._control(SYN_STREAM, number.to_bytes(4) + bytes(6) + self._packed(headers))

    def syn_reply(self, number: int, headers: Mapping[str, str]) -> bytes:
        return self._control(SYN_REPLY, number.to_bytes(4) + self._packed(headers))

    def rst_stream(self, number: int, status: int) -> bytes:
        return self._control(RST_STREAM, number.to_bytes(4) + status.to_bytes(4))

    def ping(self, number: int) -> bytes:
        return self._control(PING, number.to_bytes(4))

    def goaway(self, last: int) -> bytes:
        return self._control(GOAWAY, last.to_bytes(4) + bytes(4))

    def _packed(self, headers: Mapping[str, str]) -> bytes:
        words = b"".join(_word(name.lower()) + _word(value) for name, value in headers.items())
        packed = self._headers.compress(len(headers).to_bytes(4) + words)
        return packed + self._headers.flush(zlib.Z_SYNC_FLUSH)

    @staticmethod
    def _control(kind: int, body: bytes) -> bytes:
        return (_CONTROL | _VERSION << 16 | kind).to_bytes(4) + b"\0" + len(body).to_bytes(3) + body
