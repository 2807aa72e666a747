"""Reads what a capture left: the bytes of a pcap file in, one value for each IPv4 packet out. No process, no wire.

The format is that of pcap-savefile(5); the link types are those that captures of one interface, of all interfaces
("any") and of a tunnel have. Whatever is no IPv4 (ARP, IPv6) is passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from kip_conformance.infra.errors import HarnessError

__all__ = ["Packet", "each_packet", "read_packets"]


@dataclass(frozen=True, slots=True)
class Packet:
    """One IPv4 packet, or fragment of one.

    `time` is seconds since the epoch, `protocol` is tcp, udp, icmp or the number as text, `length` the bytes of the
    whole packet with its IPv4 header. Ports are None where there are none (ICMP, all fragments but the first), `flags`
    are TCP's (SYN, ACK, FIN, RST, PSH, URG), `sequence` its number, `data` what TCP or UDP carry; `icmp` is type and
    code, `quoted` the packet that an ICMP error is about.

    A capture of all interfaces ("any") tells the `interface` by its index (else 0), whether the packet was going out
    of it, and whether it was addressed to another machine on the link (`is_misaddressed`); else None and False.
    """

    time: float
    source: str
    destination: str
    protocol: str
    source_port: int | None = None
    destination_port: int | None = None
    flags: frozenset[str] = frozenset()
    icmp: tuple[int, int] | None = None
    length: int = 0
    sequence: int | None = None
    data: bytes = field(default=b"", repr=False)
    quoted: Packet | None = None
    interface: int = 0
    is_outgoing: bool | None = None
    is_misaddressed: bool = False

    def __str__(self) -> str:
        def end(address: str, port: int | None) -> str:
            return address if port is None else f"{address}:{port}"

        words = (
            f"{self.protocol} {end(self.source, self.source_port)} -> {end(self.destination, self.destination_port)}"
        )
        if self.flags:
            words += f" [{' '.join(sorted(self.flags))}]"
        return words if self.icmp is None else f"{words} type {self.icmp[0]} code {self.icmp[1]}"


# magic number as it lies in the file -> (byte order, parts of a second)
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
_ETHERNET, _RAW, _LINUX_SLL, _IPV4, _LINUX_SLL2 = 1, 101, 113, 228, 276
_ETHERTYPE_IPV4, _ETHERTYPE_VLAN = 0x0800, 0x8100
_TO_ANOTHER, _OUTGOING = 3, 4  # packet types of the cooked headers
_ICMP_ERRORS = (3, 11, 12)
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}
_FLAGS = ((0x01, "FIN"), (0x02, "SYN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"), (0x20, "URG"))


def read_packets(pcap: bytes) -> tuple[Packet, ...]:
    """Every IPv4 packet of a capture, in order. A last record that was cut off in the writing is left out.

    Raises HarnessError when these are not the bytes of a pcap file, or of a link type that is not known here.
    """
    return tuple(each_packet(pcap))


def each_packet(pcap: bytes) -> Iterator[Packet]:
    """The same, one by one: of a long capture no more is read than is asked for."""
    if len(pcap) < 24 or pcap[:4] not in _MAGIC:
        raise HarnessError(f"{len(pcap)} bytes that are no pcap file: the capture did not begin")
    order, unit = _MAGIC[pcap[:4]]
    (link,) = struct.unpack_from(f"{order}I", pcap, 20)
    link &= 0x0FFFFFFF  # the upper bits tell of frame check sequences
    for time, frame in _records(pcap, order, unit):
        datagram = _datagram(frame, link)
        packet = None if datagram is None else _packet(datagram, time, **_on_link(frame, link))
        if packet is not None:
            yield packet


def _records(pcap: bytes, order: str, unit: float) -> Iterator[tuple[float, bytes]]:
    offset = 24
    while offset + 16 <= len(pcap):
        seconds, parts, size, _ = struct.unpack_from(f"{order}IIII", pcap, offset)
        frame = pcap[offset + 16 : offset + 16 + size]
        if len(frame) < size:
            return
        yield seconds + parts * unit, frame
        offset += 16 + size


def _datagram(frame: bytes, link: int) -> bytes | None:
    """What follows the link-layer header; None when that is no IPv4."""
    if link in (_RAW, _IPV4):
        return frame
    if link == _ETHERNET:
        at, header = 12, 14
        if frame[12:14] == _ETHERTYPE_VLAN.to_bytes(2, "big"):
            at, header = 16, 18
    elif link == _LINUX_SLL:
        at, header = 14, 16
    elif link == _LINUX_SLL2:
        at, header = 0, 20
    else:
        raise HarnessError(f"a capture of link type {link}, which is not read here")
    return frame[header:] if frame[at : at + 2] == _ETHERTYPE_IPV4.to_bytes(2, "big") else None


def _on_link(frame: bytes, link: int) -> dict[str, Any]:
    """What a "cooked" header tells: the interface, and which way the packet went. Others tell nothing."""
    if link == _LINUX_SLL:
        kind, interface = frame[1], 0
    elif link == _LINUX_SLL2:
        kind, interface = frame[10], struct.unpack_from(">I", frame, 4)[0]
    else:
        return {}
    return {"interface": interface, "is_outgoing": kind == _OUTGOING, "is_misaddressed": kind == _TO_ANOTHER}


def _packet(datagram: bytes, time: float, **on_link: Any) -> Packet | None:
    if len(datagram) < 20 or datagram[0] >> 4 != 4:
        return None
    (length,) = struct.unpack_from(">H", datagram, 2)
    # Beyond the length there may be padding of the link; of a quoted packet there is less than its length.
    body = datagram[(datagram[0] & 0x0F) * 4 : length]
    is_first = struct.unpack_from(">H", datagram, 6)[0] & 0x1FFF == 0
    protocol = _PROTOCOLS.get(datagram[9], str(datagram[9]))
    ports: tuple[int | None, int | None] = (None, None)
    flags: frozenset[str] = frozenset()
    icmp = sequence = quoted = None
    data = b""
    if is_first and protocol in ("tcp", "udp") and len(body) >= 4:
        ports = struct.unpack_from(">HH", body)
    if is_first and protocol == "udp":
        data = body[8:]
    if is_first and protocol == "tcp" and len(body) >= 8:
        (sequence,) = struct.unpack_from(">I", body, 4)
    if is_first and protocol == "tcp" and len(body) >= 14:
        flags = frozenset(name for bit, name in _FLAGS if body[13] & bit)
        data = body[(body[12] >> 4) * 4 :]
    if is_first and protocol == "icmp" and len(body) >= 2:
        icmp = (body[0], body[1])
        quoted = _packet(body[8:], time) if body[0] in _ICMP_ERRORS else None
    return Packet(
        time=time,
        source=str(IPv4Address(datagram[12:16])),
        destination=str(IPv4Address(datagram[16:20])),
        protocol=protocol,
        source_port=ports[0],
        destination_port=ports[1],
        flags=flags,
        icmp=icmp,
        length=length,
        sequence=sequence,
        data=data,
        quoted=quoted,
        **on_link,
    )
