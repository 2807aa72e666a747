"""Captures of every link type that machines write, made byte by byte as pcap-savefile(5) has them."""

from __future__ import annotations

import struct

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.machines.packets import read_packets


def ipv4(protocol: int, body: bytes, *, fragment: int = 0, options: bytes = b"") -> bytes:
    words = (20 + len(options)) // 4
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, 20 + len(options) + len(body), 1, fragment, 64, protocol, 0)
    return head + bytes([10, 244, 1, 2]) + bytes([10, 96, 0, 10]) + options + body


def tcp(flags: int) -> bytes:
    return struct.pack(">HHIIBBHHH", 40000, 80, 7, 8, 5 << 4, flags, 1024, 0, 0)


UDP = struct.pack(">HHHH", 5000, 53, 8, 0)
DATAGRAM = ipv4(17, UDP)


def pcap(*frames: bytes, link: int = 101, order: str = "<", magic: int = 0xA1B2C3D4) -> bytes:
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    records = (struct.pack(f"{order}IIII", 100, 500, len(frame), len(frame)) + frame for frame in frames)
    return head + b"".join(records)


FRAMES = {
    "raw": (101, b""),
    "ipv4": (228, b""),
    "ethernet": (1, bytes(12) + b"\x08\x00"),
    "ethernet-with-vlan": (1, bytes(12) + b"\x81\x00\x00\x05\x08\x00"),
    "any": (113, bytes(14) + b"\x08\x00"),
    "any-v2": (276, b"\x08\x00" + bytes(18)),
}


@pytest.mark.parametrize(("link", "head"), FRAMES.values(), ids=FRAMES)
def test_each_link_type_leads_to_the_packet(link, head):
    (packet,) = read_packets(pcap(head + DATAGRAM, link=link))
    assert str(packet) == "udp 10.244.1.2:5000 -> 10.96.0.10:53"
    assert (packet.length, packet.protocol, packet.flags, packet.icmp) == (28, "udp", frozenset(), None)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize(("magic", "time"), [(0xA1B2C3D4, 100.0005), (0xA1B23C4D, 100.0000005)], ids=["us", "ns"])
def test_time_is_seconds_in_both_byte_orders_and_units(order, magic, time):
    (packet,) = read_packets(pcap(DATAGRAM, order=order, magic=magic))
    assert packet.time == pytest.approx(time, abs=1e-8)


def test_flags_and_icmp_are_told():
    packets = read_packets(pcap(ipv4(6, tcp(0x14)), ipv4(6, tcp(0x02)), ipv4(1, b"\x03\x04\x00\x00")))
    assert [packet.flags for packet in packets] == [{"RST", "ACK"}, {"SYN"}, frozenset()]
    assert (packets[2].icmp, packets[2].source_port) == ((3, 4), None)
    assert str(packets[0]).endswith("[ACK RST]")
    assert str(packets[2]).endswith("type 3 code 4")


def test_ip_options_are_skipped_and_later_fragments_have_no_ports():
    optioned, later, first = read_packets(
        pcap(ipv4(17, UDP, options=bytes(4)), ipv4(17, UDP, fragment=185), ipv4(17, UDP, fragment=0x2000))
    )
    assert (optioned.destination_port, later.destination_port, first.destination_port) == (53, None, 53)


def test_other_families_and_unknown_protocols():
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    (packet,) = read_packets(pcap(arp, bytes(12) + b"\x08\x00" + ipv4(50, bytes(8)), link=1))
    assert (packet.protocol, packet.source_port) == ("50", None)


def test_a_record_that_was_cut_off_is_left_out():
    whole = pcap(DATAGRAM, DATAGRAM)
    assert len(read_packets(whole[:-3])) == 1
    assert len(read_packets(whole[: 24 + 16 + 28 + 9])) == 1
    assert read_packets(pcap()) == ()


def test_what_is_no_capture_is_no_empty_one():
    for nothing in (b"", b"\xd4\xc3\xb2\xa1", b"tcpdump: no such device, and so on and so forth"):
        with pytest.raises(HarnessError, match="no pcap file"):
            read_packets(nothing)
    with pytest.raises(HarnessError, match="link type 105"):
        read_packets(pcap(DATAGRAM, link=105))
