"""What a capture of all interfaces tells of each packet besides what is in it. Recorded on a node."""

from __future__ import annotations

from pathlib import Path

from kip_conformance.infra.machines.packets import read_packets

PCAP = Path(__file__).with_name("recorded") / "tcp-through-a-machine.pcap"


def test_interface_and_way_of_each_packet():
    packets = read_packets(PCAP.read_bytes())
    assert [(packet.interface, packet.is_outgoing) for packet in packets[:4]] == [
        (3, False),
        (2, True),
        (2, False),
        (3, True),
    ]
    assert not any(packet.is_misaddressed for packet in packets)


def test_a_syn_keeps_its_number_and_data_is_told_from_headers():
    packets = read_packets(PCAP.read_bytes())
    assert packets[0].sequence == packets[1].sequence == 1865575964
    assert [len(packet.data) for packet in packets[:8]] == [0, 0, 0, 0, 0, 0, 43, 43]
    assert packets[6].data.startswith(b"kip1 ")
