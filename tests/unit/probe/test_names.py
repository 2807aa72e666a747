"""What lookups are judged to be, and lookups in pairs against a small server."""

from __future__ import annotations

import pytest
from kip_conformance.infra.machines.dns_questions import names_in
from kip_conformance.infra.machines.packets import Packet
from kip_conformance.infra.probe import prober
from kip_conformance.infra.probe.answers import NameQuery, Record, Resolution, SizeAnswer
from kip_conformance.infra.probe.names import Lookup, look_up, look_up_in_pairs, name_known, service_names
from kip_conformance.infra.probe.path_mtu import judge_sizes

A, AAAA = 1, 28


def resolution(*data, rcode="NOERROR", type="A", truncated=False, question="web.test.", error=""):
    answers = tuple(Record(question, type, 5, each) for each in data)
    tried = (NameQuery(question, "10.0.0.1", "udp", rcode, error, 0.01),)
    return Resolution(rcode, answers, "10.0.0.1", "udp", question, truncated, 0.01, error, tried)


WEB = frozenset({"10.1.2.3"})


@pytest.mark.parametrize(
    ("lookup", "seen", "kind", "words"),
    [
        (Lookup("web.test.", WEB), resolution("10.1.2.3"), "open", "NOERROR 10.1.2.3"),
        (Lookup("web.test.", WEB), resolution("10.1.2.4"), "wrong_peer", "not 10.1.2.3; asked for web.test."),
        (Lookup("web.test.", WEB), resolution(rcode="NXDOMAIN"), "no_name", "NXDOMAIN without records, not NOERROR"),
        (Lookup("web.test.", WEB), resolution(), "no_name", "NOERROR without records"),
        (Lookup("web.test.", WEB), resolution(rcode=None, error="timeout"), "timeout", "no server answered: timeout"),
        (Lookup("web.test.", WEB), resolution(rcode=None, error="refused:ECONNREFUSED"), "unreachable", "refused"),
        (Lookup("web", WEB, answered_as="web.test."), resolution("10.1.2.3"), "open", ""),
        (Lookup("web", WEB, answered_as="web.a."), resolution("10.1.2.3"), "wrong_peer", "found as web.test."),
        (Lookup("web.test.", WEB, is_truncated=False), resolution("10.1.2.3", truncated=True), "wrong_peer", "cut off"),
        (Lookup("no.test.", frozenset(), rcode="NXDOMAIN"), resolution(rcode="NXDOMAIN"), "open", "NXDOMAIN"),
        (Lookup("no.test.", frozenset(), rcode="NXDOMAIN"), resolution(), "no_name", "not NXDOMAIN"),
        (Lookup("web.test.", type="TYPE65280"), resolution(), "open", "NOERROR without records"),
        (Lookup("s.", frozenset({"80 web."}), "SRV"), resolution("0 50 80 web.", type="SRV"), "open", "80 web."),
    ],
)
def test_a_lookup_is_judged(lookup, seen, kind, words):
    observation = lookup.judge(seen)

    assert observation.kind == kind
    assert words in observation.detail


def test_columns_say_how_a_name_is_asked_for():
    assert Lookup("web.test.").name == "web.test."
    assert Lookup("web.test.", is_tcp=True, edns=1232).name == "web.test. over TCP with 1232 bytes offered"


def test_a_name_is_known_by_a_type_that_was_never_asked_for():
    (one,), (other,) = name_known(["web.test."]), name_known(["web.test."])

    assert one.type != other.type
    assert one.name == other.name == "web.test. exists"


def test_a_service_has_more_names_in_its_own_namespace():
    near = service_names("web", "shop", "cluster.local")
    far = service_names("web", "shop", "cluster.local", is_same_namespace=False)

    assert set(near) - set(far) == {"web"}
    assert set(near.values()) == {"web.shop.svc.cluster.local."}


def passes(size):
    return SizeAnswer(size, "passes", 1500, peer="b", rtt=0.001)


@pytest.mark.parametrize(
    ("fit", "larger", "kind", "words"),
    [
        (passes(1500), passes(1528), "open", "path MTU at least 1528"),
        (passes(1500), SizeAnswer(1528, "fragmentation-needed", 1500, "local"), "open", "told by the client itself"),
        (passes(1450), SizeAnswer(1478, "fragmentation-needed", 1450, "10.0.0.1"), "open", "1450 (told by 10.0.0.1)"),
        (passes(1450), SizeAnswer(1478, "silent"), "timeout", "1450 bytes with DF pass, 1478 vanish"),
        (SizeAnswer(1500, "silent"), SizeAnswer(1528, "silent"), "timeout", "a black hole"),
        (SizeAnswer(1500, "fragmentation-needed", 1400, "10.0.0.1"), passes(1528), "unreachable", "MTU 1400, says 10"),
        (SizeAnswer(1500, "refused"), passes(1528), "refused", "1500 bytes with DF: refused"),
    ],
)
def test_two_sizes_tell_the_path(fit, larger, kind, words):
    observation = judge_sizes(fit, larger)

    assert observation.kind == kind
    assert words in observation.detail


def test_questions_are_read_from_packets_once_each():
    query = prober.encode_query(7, "web.test", "A", 0)
    packets = [Packet(0, "a", "b", "udp", data=data) for data in (query, query, b"x", b"", query[:14])]

    assert names_in(packets) == ("web.test.",)


@pytest.fixture
def place_and_driver(resident, name_server, driver_of, tmp_path):
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\n")
    one = resident("one", extra=["--resolv-conf", str(conf)])
    name_server.answers["web.test.", "A"] = (0, [("web.test.", A, 30, bytes([10, 1, 2, 3]))])
    name_server.answers["web.test.", "AAAA"] = (0, [])
    return one.place, driver_of(one)


def in_pairs(driver, place, port, name="web.test.", **fields):
    message = {"op": "lookups", "name": name, "count": 40, "timeout": 0.2, "port": port, **fields}
    return driver.ask_all([(place, message)], wait=2)[0]


def test_lookups_in_pairs_count_every_answer(place_and_driver, name_server):
    place, driver = place_and_driver
    seen = in_pairs(driver, place, name_server.port)

    assert seen["asked"] == 40
    assert seen["lost"] == {}
    assert seen["answers"] == {"A NOERROR 1": 40, "AAAA NOERROR 0": 40}
    assert 0 < seen["slowest"] < 0.2


def test_lost_answers_are_counted_and_end_the_series_early(place_and_driver, name_server):
    place, driver = place_and_driver
    name_server.answers |= {("web.test.", "A"): (-1, []), ("web.test.", "AAAA"): (-1, [])}
    seen = in_pairs(driver, place, name_server.port)

    assert set(seen["lost"]) == {"A", "AAAA"}
    assert seen["asked"] < 40


def test_many_places_are_asked_at_once_and_make_a_grid(place_and_driver, name_server):
    place, driver = place_and_driver
    grid = look_up(driver, [place], [Lookup("nobody.invalid.")], timeout=0.3)

    assert list(grid) == [("one", "nobody.invalid.")]
    assert not grid["one", "nobody.invalid."].is_open
    (lost,) = look_up_in_pairs(driver, [place], "web.test.", count=1, timeout=0.1).values()
    assert lost.asked == 1
    assert lost.lost
    assert "lost" in str(lost)
    assert lost.wrong == ()
