"""The resolver as machines see it. Sources: Amazon VPC User Guide, Understanding Amazon DNS; what it answers to which
name without a network: tests/unit/cloud."""

from __future__ import annotations

import time

import pytest

from .conftest import BASE_PLUS_TWO, REGION, facts, http, question, said, zone

RIGHT = f"ip-10-20-16-12.{REGION}.compute.internal"


@pytest.mark.parametrize("host", [BASE_PLUS_TWO, "169.254.169.253"])
@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_it_answers_at_both_addresses_by_both_protocols(served, ask, host, over):
    answers = ask(
        "left",
        question(RIGHT, host=host, over=over),
        question("12.16.20.10.in-addr.arpa", "PTR", host=host, over=over),
        question(f"nobody.{REGION}.compute.internal", host=host, over=over),
        question("www.example.com", host=host, over=over),
    )

    assert [said(answer) for answer in answers] == [["10.20.16.12"], [f"{RIGHT}."], "NXDOMAIN", ["198.51.100.7"]]


def test_what_upstream_cuts_off_is_asked_again_over_tcp(served, ask):
    cut, whole = ask("left", question("large.example.com"), question("large.example.com", over="tcp"))

    assert bytes.fromhex(cut)[2] & 0x02
    assert len(bytes.fromhex(whole)) > 3000


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_an_upstream_that_keeps_silent_is_a_failure_after_2_seconds(served, ask, over):
    started = time.monotonic()
    (answer,) = ask("left", question("silent.example.com", over=over))
    took = time.monotonic() - started

    assert said(answer) == "SERVFAIL"
    if over == "udp":  # over TCP the tests' upstream closes the connection, which is an end, too
        assert 2 <= took < 4


def test_many_questions_wait_for_upstream_at_the_same_time(served, ask):
    started = time.monotonic()
    answers = ask("left", *[question("silent.example.com", timeout=0.01)] * 20, question(RIGHT), question("a.example"))

    assert [said(answer) for answer in answers] == ["silent"] * 20 + [["10.20.16.12"], ["198.51.100.7"]]
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("upstream", [None])
def test_without_upstream_only_its_own_names_resolve(served, ask, upstream):
    served.put(facts("left"), zones=[zone(upstream=upstream)])

    answers = ask("left", question(RIGHT), question("www.example.com"), question("www.example.com", over="tcp"))

    assert [said(answer) for answer in answers] == [["10.20.16.12"], "SERVFAIL", "SERVFAIL"]


def test_with_dns_support_off_it_keeps_silent_and_metadata_goes_on(served, ask):
    served.put(facts("left"), zones=[zone(dns_support=False)])
    jobs = [question(RIGHT, over=over, host=host, timeout=0.3) for over in ("udp", "tcp") for host in HOSTS]

    assert ask("left", *jobs) == ["silent"] * 4
    assert ask("left", http(("GET", "/latest/meta-data/instance-id", {})))[0][0][2] == "i-left"

    served.put(facts("left"), zones=[zone()])
    assert [said(answer) for answer in ask("left", *jobs)] == [["10.20.16.12"]] * 4


HOSTS = (BASE_PLUS_TWO, "169.254.169.253")


def test_a_new_name_resolves_as_soon_as_it_is_put(served, ask):
    served.put(zones=[zone(addresses=("10.20.1.11", "10.20.1.77"))])

    answers = ask("left", question(f"ip-10-20-1-77.{REGION}.compute.internal"), question(RIGHT))

    assert [said(answer) for answer in answers] == [["10.20.1.77"], "NXDOMAIN"]


def test_the_primary_range_decides_where_it_listens(served, ask):
    served.put(zones=[zone(cidrs=("10.20.64.0/18", "10.20.0.0/18"))])

    elsewhere, link_local = ask("left", question(RIGHT, timeout=0.3), question(RIGHT, host="169.254.169.253"))

    assert elsewhere == "Connection refused"
    assert said(link_local) == ["10.20.16.12"]


def test_the_time_is_told(served, ask):
    (answer,) = ask("left", {"kind": "udp", "host": "169.254.169.123", "port": 123, "wire": "23" + "00" * 47})

    seconds = int.from_bytes(bytes.fromhex(answer)[40:44], "big") - 2_208_988_800
    assert abs(seconds - time.time()) < 10
