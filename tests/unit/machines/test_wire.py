"""Captures on several machines, as one wire."""

from __future__ import annotations

import contextlib
import json
import struct

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.machines.wire import Wire, network_interface, watched
from kip_conformance.infra.targets.protocol import Completed


def udp_to(*last_bytes: int) -> bytes:
    """A capture of datagrams to 10.0.0.N, port 80."""
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for last in last_bytes:
        packet = struct.pack(">BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0) + bytes([10, 0, 0, 9, 10, 0, 0, last])
        packet += struct.pack(">HHHH", 5000, 80, 8, 0)
        head += struct.pack("<IIII", 1, 0, len(packet), len(packet)) + packet
    return head


class Recorded:
    def __init__(self, pcap: bytes) -> None:
        self.pcap = pcap

    def so_far(self) -> bytes:
        return self.pcap


class Node:
    addresses = ("10.20.1.11",)

    def __init__(self, name: str, pcap: bytes = b"", output: str = "[]", code: int = 0) -> None:
        self.name, self.pcap, self.output, self.code = name, pcap, output, code
        self.asked: list[tuple[str, str]] = []

    def run(self, argv, **_):
        return Completed(tuple(argv), self.code, self.output.encode(), b"")

    @contextlib.contextmanager
    def capture(self, expression, *, interface="any"):
        self.asked.append((expression, interface))
        yield Recorded(self.pcap)


INTERFACES = json.dumps(
    [
        {"ifname": "lo", "addr_info": [{"local": "127.0.0.1"}]},
        {"ifname": "ens5", "addr_info": [{"local": "10.20.1.11"}]},
        {"ifname": "veth1"},
    ]
)


def test_packets_are_told_by_machine_and_destination():
    wire = Wire({"a": Recorded(udp_to(1, 2, 1)), "b": Recorded(udp_to(2))})

    assert {name: len(packets) for name, packets in wire.to("10.0.0.1", port=80).items()} == {"a": 2, "b": 0}
    assert not any(wire.to("10.0.0.1", port=81).values())


def test_captures_see_once_each_has_seen_something():
    wire = Wire({"a": Recorded(udp_to(1)), "b": Recorded(udp_to(2))})

    assert wire.is_seen_everywhere(["10.0.0.1", "10.0.0.2"], port=80)
    assert not wire.is_seen_everywhere(["10.0.0.1"], port=80)


def test_each_machine_is_watched_at_the_interface_of_its_address():
    nodes = [Node("a", udp_to(1), INTERFACES), Node("b", udp_to(2), INTERFACES)]
    with watched(nodes, "udp") as wire:
        assert wire.is_seen_everywhere(["10.0.0.1", "10.0.0.2"], port=80)

    assert [node.asked for node in nodes] == [[("udp", "ens5")]] * 2


@pytest.mark.parametrize("node", [Node("a"), Node("a", output=INTERFACES, code=1)], ids=["none", "failed"])
def test_a_machine_without_its_interface_is_no_silent_one(node):
    with pytest.raises(HarnessError, match=r"a: no interface carries its address 10.20.1.11"):
        network_interface(node)
