"""Packets as captures along a path would hold them, made by hand."""

from __future__ import annotations

import itertools

from kip_conformance.infra.machines.packets import Packet

CLIENT, SERVER, VIP = "10.244.1.2", "10.244.2.2", "10.96.0.7"
PORT = 21000
_clock = itertools.count(1)


def syn(source=CLIENT, to=SERVER, *, port=8080, source_port=PORT, out=False, sequence=77, misaddressed=False) -> Packet:
    return Packet(
        float(next(_clock)), source, to, "tcp", source_port, port, frozenset({"SYN"}), sequence=sequence,
        is_outgoing=out, is_misaddressed=misaddressed,
    )  # fmt: skip


def back(*flags, source=SERVER, to=CLIENT, port=8080, to_port=PORT, out=False) -> Packet:
    """An answer: SYN ACK by default."""
    flags = frozenset(flags or ("SYN", "ACK"))
    return Packet(float(next(_clock)), source, to, "tcp", port, to_port, flags, sequence=5, is_outgoing=out)


def icmp(source, kind, about: Packet, *, out=False) -> Packet:
    return Packet(float(next(_clock)), source, about.source, "icmp", icmp=kind, quoted=about, is_outgoing=out)
