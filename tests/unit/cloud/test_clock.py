"""The time service's packets (RFC 4330)."""

from __future__ import annotations

import struct

from kip_conformance.infra.cloud.link_local.clock import reply


def client(version=4, mode=3):
    return bytes([version << 3 | mode]) + b"\0" * 39 + b"sentthen"


def test_a_client_is_told_the_time_and_gets_its_own_stamp_back():
    said = reply(client(), 1_700_000_000.5)

    assert (len(said), said[0] >> 3, said[0] & 7, said[1]) == (48, 4, 4, 3)
    assert said[24:32] == b"sentthen"
    assert struct.unpack("!II", said[40:48]) == (1_700_000_000 + 2_208_988_800, 1 << 31)


def test_what_is_no_client_s_packet_is_dropped():
    assert reply(client(mode=4), 0) is None
    assert reply(b"\x1b" * 47, 0) is None
