"""DNS messages: from a question in bytes to an answer in bytes, or to the decision to ask upstream. No sockets.

EDNS as in RFC 6891, truncation at whole records as in RFC 2181, negative answers with the zone's SOA as in RFC 2308.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, Protocol

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from kip_conformance.infra.cloud.link_local.names import Found

__all__ = ["Decision", "decide", "failure", "question_of"]

Transport = Literal["tcp", "udp"]

_TTL = 60
"""Seconds that an answer may be kept; the documentation names none for private names."""
_PAYLOAD = 4096
_HEADER = 12


@dataclass(frozen=True, slots=True)
class Decision:
    """`answer` goes back to the client; without it, `is_for_upstream` says whether to ask there or to be silent."""

    answer: bytes | None
    is_for_upstream: bool = False


class _Table(Protocol):
    """Lookups by name, in lower case and without the dot at the end; None when somebody else is to be asked."""

    def find(self, name: str, /) -> Found | None: ...


def decide(table: _Table, wire: bytes, transport: Transport) -> Decision:
    """What to do with one message that a client sent."""
    if len(wire) < _HEADER or wire[2] & 0x80:
        return Decision(None)  # no question: an answer to it could go round for ever
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return Decision(failure(wire, dns.rcode.FORMERR))
    response = dns.message.make_response(query, recursion_available=True, our_payload=_PAYLOAD)
    code = _refusal(query)
    if code is not None:
        response.set_rcode(code)
    else:
        question = query.question[0]
        found = table.find(question.name.to_text(omit_final_dot=True).lower())
        if found is None:
            return Decision(None, is_for_upstream=True)
        _fill(response, question.name, question.rdtype, found)
    return Decision(_to_wire(query, response, transport))


def _refusal(query: dns.message.Message) -> dns.rcode.Rcode | None:
    """Why a readable message is not answered; None when it is."""
    if query.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if query.edns > 0:
        return dns.rcode.BADVERS
    if len(query.question) != 1:
        return dns.rcode.FORMERR
    return None if query.question[0].rdclass == dns.rdataclass.IN else dns.rcode.REFUSED


def failure(wire: bytes, code: dns.rcode.Rcode) -> bytes:
    """An answer that says only that it failed, to a message that need not be readable beyond its header."""
    flags = (wire[2] & 0x79) | 0x80  # opcode and "recursion desired" as they came
    head = wire[:2] + bytes([flags, 0x80 | int(code)])
    question = question_of(wire)
    return head + (b"\0\1" if question else b"\0\0") + b"\0" * 6 + question


def question_of(wire: bytes) -> bytes:
    """The bytes of a message's only question; none when it has another number of them or cannot be read."""
    if len(wire) < _HEADER or wire[4:6] != b"\0\1":
        return b""
    position = _HEADER
    while position < len(wire) and wire[position]:
        if wire[position] > 63:
            return b""
        position += wire[position] + 1
    end = position + 5
    return wire[_HEADER:end] if end <= len(wire) else b""


def _fill(response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType, found: Found) -> None:
    def add(rdtype: str, *values: str) -> None:
        response.answer.append(dns.rrset.from_text(name, _TTL, "IN", rdtype, *values))

    wanted = {dns.rdatatype.to_text(kind)}
    if kind == dns.rdatatype.ANY:
        wanted = {"A", "PTR", "SOA"}
    if found.addresses and "A" in wanted:
        add("A", *random.sample(found.addresses, len(found.addresses)))
    if found.pointer and "PTR" in wanted:
        add("PTR", f"{found.pointer}.")
    if found.is_apex and "SOA" in wanted:
        add("SOA", _soa(found.apex))
    if not found.exists:
        response.set_rcode(dns.rcode.NXDOMAIN)
    if not response.answer:
        response.authority.append(dns.rrset.from_text(f"{found.apex}.", _TTL, "IN", "SOA", _soa(found.apex)))


def _soa(apex: str) -> str:
    return f"ns.{apex}. hostmaster.{apex}. 1 3600 600 604800 {_TTL}"


def _to_wire(query: dns.message.Message, response: dns.message.Message, transport: Transport) -> bytes:
    if transport == "tcp":
        return response.to_wire(max_size=65535)
    # A client without EDNS takes 512 bytes; what does not fit is left out, and the flag says so.
    room = min(max(query.payload, 512), _PAYLOAD) if query.edns >= 0 else 512
    return response.to_wire(max_size=room, prefer_truncation=True)
