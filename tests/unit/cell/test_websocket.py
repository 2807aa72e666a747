"""Frames from and to bytes."""

from __future__ import annotations

import pytest
from kip_conformance.infra.cell.problems import Refused
from kip_conformance.infra.cell.websocket import BINARY, CLOSE, PING, Frames, frame, handshake

MASK = b"\x01\x02\x03\x04"


def client_frame(payload, opcode=BINARY, is_last=True):
    size = len(payload)
    head = bytes(((0x80 if is_last else 0) | opcode,))
    if size < 126:
        head += bytes((0x80 | size,))
    elif size < 1 << 16:
        head += bytes((0x80 | 126,)) + size.to_bytes(2, "big")
    else:
        head += bytes((0x80 | 127,)) + size.to_bytes(8, "big")
    return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_frames_of_every_length_come_whole_however_they_are_cut(size):
    payload = bytes(at % 251 for at in range(size))
    data, frames, found = client_frame(payload), Frames(), []
    for start in range(0, len(data), 7919):
        found += frames.feed(data[start : start + 7919])

    assert found == [(BINARY, payload)]
    assert frame(BINARY, payload).endswith(payload)


def test_fragments_are_put_together_and_a_ping_may_come_between():
    data = client_frame(b"he", is_last=False) + client_frame(b"", PING) + client_frame(b"llo", 0)

    assert list(Frames().feed(data)) == [(PING, b""), (BINARY, b"hello")]


@pytest.mark.parametrize("data", [frame(BINARY, b"unmasked"), b"\xf2\x80\0\0\0\0", b"\x82\xff" + b"\x7f" * 8])
def test_what_breaks_the_protocol_is_refused(data):
    with pytest.raises(Refused):
        list(Frames().feed(data))


def test_the_answer_to_an_upgrade_is_the_rfcs():
    headers = {
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-protocol": "v4.channel.k8s.io, v5.channel.k8s.io",
    }
    chosen, answer = handshake(headers, ("v5.channel.k8s.io", "v4.channel.k8s.io"))

    assert chosen == "v5.channel.k8s.io"
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    with pytest.raises(Refused, match="this path speaks v9"):
        handshake(headers, ("v9",))
    with pytest.raises(Refused, match="needs a WebSocket upgrade"):
        handshake({}, ("v9",))


def test_a_close_has_its_code():
    assert frame(CLOSE, (1000).to_bytes(2, "big")) == b"\x88\x02\x03\xe8"
