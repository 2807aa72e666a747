"""The resolver without sockets: names, messages, limits. Sources are named in names.py and resolver.py."""

from __future__ import annotations

import random

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from kip_conformance.infra.cloud.facts import HostedZone
from kip_conformance.infra.cloud.link_local.names import NameTable
from kip_conformance.infra.cloud.link_local.resolver import decide, failure, question_of

from .some_facts import REGION, zone

INTERNAL = f"{REGION}.compute.internal"
FIRST = f"ip-10-20-1-11.{INTERNAL}"
UPSTREAM = "upstream"


def ask(name, kind="A", transport="udp", facts=None, **options):
    """The answer to one question, or that it goes upstream."""
    query = dns.message.make_query(name, kind, **options)
    decision = decide(NameTable.of(facts or zone()), query.to_wire(), transport)
    if decision.is_for_upstream:
        return UPSTREAM
    answer = dns.message.from_wire(decision.answer)
    assert answer.id == query.id
    return answer


def said(name, kind="A", facts=None):
    """Values, or how the name is denied."""
    answer = ask(name, kind, facts=facts)
    if answer == UPSTREAM:
        return UPSTREAM
    if answer.rcode() != dns.rcode.NOERROR:
        return dns.rcode.to_text(answer.rcode())
    return sorted(record.to_text() for found in answer.answer for record in found) or "NODATA"


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        (FIRST, "A", ["10.20.1.11"]),
        (FIRST.upper(), "A", ["10.20.1.11"]),
        (FIRST, "AAAA", "NODATA"),
        (FIRST, "ANY", ["10.20.1.11"]),
        (f"ip-10-20-1-99.{INTERNAL}", "A", "NXDOMAIN"),
        (f"x.{FIRST}", "A", "NXDOMAIN"),
        (INTERNAL, "A", "NODATA"),
        ("us-west-2.compute.internal", "A", UPSTREAM),
        ("11.1.20.10.in-addr.arpa", "PTR", [f"{FIRST}."]),
        ("11.1.20.10.in-addr.arpa", "A", "NODATA"),
        ("9.0.64.100.in-addr.arpa", "PTR", [f"ip-100-64-0-9.{INTERNAL}."]),
        ("99.1.20.10.in-addr.arpa", "PTR", "NXDOMAIN"),
        ("20.10.in-addr.arpa", "PTR", "NODATA"),
        ("1.1.168.192.in-addr.arpa", "PTR", "NXDOMAIN"),
        ("1.1.31.172.in-addr.arpa", "PTR", "NXDOMAIN"),
        ("1.1.32.172.in-addr.arpa", "PTR", UPSTREAM),
        ("172.in-addr.arpa", "PTR", UPSTREAM),
        ("5.113.0.203.in-addr.arpa", "PTR", UPSTREAM),
        ("x.10.in-addr.arpa", "PTR", UPSTREAM),
        (f"ec2-203-0-113-5.{REGION}.compute.amazonaws.com", "A", ["10.20.1.11"]),
        (f"ec2-203-0-113-5.{REGION}.compute.amazonaws.com", "AAAA", "NODATA"),
        (f"ec2-203-0-113-6.{REGION}.compute.amazonaws.com", "A", UPSTREAM),
        (f"ec2.{REGION}.amazonaws.com", "A", ["10.20.1.50", "10.20.2.50"]),
        (f"x.ec2.{REGION}.amazonaws.com", "A", "NXDOMAIN"),
        (f"123456789012.dkr.ecr.{REGION}.amazonaws.com", "A", ["10.20.1.51"]),
        (f"a.b.dkr.ecr.{REGION}.amazonaws.com", "A", ["10.20.1.51"]),
        (f"dkr.ecr.{REGION}.amazonaws.com", "A", "NODATA"),
        (f"s3.{REGION}.amazonaws.com", "A", UPSTREAM),
        ("example.com", "A", UPSTREAM),
        (".", "NS", UPSTREAM),
    ],
)
def test_what_a_vpc_answers(name, kind, expected):
    assert said(name, kind) == expected


def test_without_dns_hostnames_no_name_of_an_instance_resolves():
    """Amazon VPC User Guide, Understanding Amazon DNS: private names need both attributes."""
    facts = zone(dns_hostnames=False)

    assert said(FIRST, facts=facts) == "NXDOMAIN"
    assert said("11.1.20.10.in-addr.arpa", "PTR", facts=facts) == "NXDOMAIN"
    assert said(f"ec2-203-0-113-5.{REGION}.compute.amazonaws.com", facts=facts) == UPSTREAM
    assert said(f"ec2.{REGION}.amazonaws.com", facts=facts) == UPSTREAM


def test_a_wildcard_ends_at_the_closest_name_that_exists():
    """RFC 4592, section 2.2.1."""
    facts = zone(
        hosted=(HostedZone("example.org", (("*.example.org", ("10.0.0.1",)), ("a.b.example.org", ("10.0.0.2",)))),)
    )

    assert said("c.example.org", facts=facts) == ["10.0.0.1"]
    assert said("c.b.example.org", facts=facts) == "NXDOMAIN"
    assert said("b.example.org", facts=facts) == "NODATA"


@pytest.mark.parametrize("name", [FIRST, f"nobody.{INTERNAL}"])
def test_a_negative_answer_names_its_zone(name):
    answer = ask(name, "AAAA")

    assert [found.rdtype for found in answer.authority] == [dns.rdatatype.SOA]
    assert answer.authority[0].name.to_text() == f"{INTERNAL}."
    assert answer.flags & dns.flags.RA


def many(count):
    addresses = tuple(f"10.20.{index // 256}.{index % 256}" for index in range(count))
    return zone(hosted=(HostedZone("many.test", (("many.test", addresses),)),))


def test_what_does_not_fit_is_left_out_and_the_flag_says_so():
    """RFC 1035, section 4.2.1, RFC 6891, section 6.2.3."""
    facts = many(100)

    plain = ask("many.test", facts=facts, use_edns=False)
    wide = ask("many.test", facts=facts, use_edns=0, payload=4096)
    over_tcp = ask("many.test", facts=facts, transport="tcp", use_edns=False)

    assert plain.flags & dns.flags.TC
    assert len(plain.to_wire()) <= 512
    assert plain.edns < 0
    assert not wide.flags & dns.flags.TC
    assert len(wide.answer[0]) == 100
    assert wide.edns == 0
    assert len(over_tcp.answer[0]) == 100


def test_a_client_s_payload_below_512_counts_as_512():
    """RFC 6891, section 6.2.5."""
    assert len(ask("many.test", facts=many(20), use_edns=0, payload=1).answer[0]) == 20


def test_an_unknown_version_of_edns_is_said():
    """RFC 6891, section 6.1.3."""
    assert ask(FIRST, use_edns=1).rcode() == dns.rcode.BADVERS


def test_other_classes_are_refused():
    assert ask(FIRST, rdclass="CH").rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize(
    ("opcode", "code"), [(1, "NOTIMP"), (2, "NOTIMP"), (4, "NOTIMP"), (5, "NOTIMP"), (9, "NOTIMP")]
)
def test_other_operations_are_not_implemented(opcode, code):
    wire = bytearray(dns.message.make_query(FIRST, "A").to_wire())
    wire[2] |= opcode << 3

    answer = decide(NameTable.of(zone()), bytes(wire), "udp").answer

    assert answer[:2] == wire[:2]
    # An update (5) is another kind of message: as a question it has not even the right form.
    assert dns.rcode.to_text(answer[3] & 0xF) in ("NOTIMP", "FORMERR")
    assert answer[2] & 0x80


def test_no_question_and_two_questions_are_format_errors():
    query = dns.message.make_query(FIRST, "A")
    query.question = []
    assert dns.message.from_wire(decide(NameTable.of(zone()), query.to_wire(), "udp").answer).rcode() == 1
    query.question = [*dns.message.make_query("a", "A").question, *dns.message.make_query("b", "A").question]
    assert dns.message.from_wire(decide(NameTable.of(zone()), query.to_wire(), "udp").answer).rcode() == 1


def test_an_answer_is_never_answered():
    reply = dns.message.make_response(dns.message.make_query(FIRST, "A"))

    decision = decide(NameTable.of(zone()), reply.to_wire(), "udp")

    assert (decision.answer, decision.is_for_upstream) == (None, False)


def test_any_bytes_are_answered_or_dropped_and_never_raise():
    table, chance = NameTable.of(zone()), random.Random(7)
    good = dns.message.make_query(FIRST, "A", use_edns=0).to_wire()
    for _ in range(3000):
        wire = bytearray(good if chance.random() < 0.7 else chance.randbytes(chance.randrange(80)))
        for _ in range(chance.randrange(6)):
            if wire:
                wire[chance.randrange(len(wire))] = chance.randrange(256)
        answer = decide(table, bytes(wire), "udp").answer
        if answer is not None:
            assert answer[:2] == wire[:2]
            assert answer[2] & 0x80


def test_a_failure_carries_id_question_and_code():
    wire = dns.message.make_query("example.com", "A").to_wire()

    answer = dns.message.from_wire(failure(wire, dns.rcode.SERVFAIL))

    assert answer.rcode() == dns.rcode.SERVFAIL
    assert answer.question[0].name.to_text() == "example.com."
    assert question_of(wire)[-4:] == b"\0\1\0\1"
    assert question_of(b"\0" * 4) == b""
    assert question_of(b"\0" * 4 + b"\0\1" + b"\0" * 6 + b"\x3fabc") == b""
