"""Name resolution by the prober: the codec by itself, and against a small server."""

from __future__ import annotations

import struct

import pytest
from kip_conformance.infra.probe import prober

A, CNAME, PTR, TXT, AAAA, SRV = 1, 5, 12, 16, 28, 33


@pytest.fixture
def ask(resident, name_server, driver_of, tmp_path):
    """Resolves in a place whose resolv.conf can be written; the test server answers when it is named."""
    conf = tmp_path / "resolv.conf"
    conf.write_text("")
    one = resident("one", extra=["--resolv-conf", str(conf)])
    driver = driver_of(one)

    def resolve(name, type="A", **options):
        options.setdefault("server", "127.0.0.1")
        return driver.resolve(one.place, name, type, port=name_server.port, **options)

    resolve.conf = conf
    return resolve


def test_an_address_with_ttl_server_and_elapsed(ask, name_server):
    name_server.answers["web.test.", "A"] = (0, [("web.test.", A, 30, bytes([10, 1, 2, 3]))])
    answer = ask("web.test")
    assert answer.rcode == "NOERROR"
    assert answer.addresses == ("10.1.2.3",)
    assert answer.answers[0].ttl == 30
    assert (answer.server, answer.protocol, answer.question) == ("127.0.0.1", "udp", "web.test.")
    assert 0 < answer.elapsed < 2


def test_every_record_type(ask, name_server):
    srv = struct.pack("!3H", 0, 50, 8080) + prober.encode_name("ada.web.test.")
    name_server.answers.update({
        ("six.test.", "AAAA"): (0, [("six.test.", AAAA, 5, bytes(15) + b"\1")]),
        ("_http._tcp.test.", "SRV"): (0, [("_http._tcp.test.", SRV, 5, srv)]),
        ("ext.test.", "CNAME"): (0, [("ext.test.", CNAME, 5, prober.encode_name("example.org"))]),
        ("3.2.1.10.in-addr.arpa.", "PTR"): (0, [("3.2.1.10.in-addr.arpa.", PTR, 5, prober.encode_name("web.test"))]),
        ("text.test.", "TXT"): (0, [("text.test.", TXT, 5, b"\5hello\6 world")]),
    })  # fmt: skip
    found = {kind: ask(name, kind).answers[0].data for name, kind in list(name_server.answers)}
    assert found == {
        "AAAA": "::1",
        "SRV": "0 50 8080 ada.web.test.",
        "CNAME": "example.org.",
        "PTR": "web.test.",
        "TXT": "hello world",
    }


def test_a_cname_chain_keeps_all_its_records(ask, name_server):
    chain = [("ext.test.", CNAME, 5, prober.encode_name("web.test")), ("web.test.", A, 7, bytes([10, 0, 0, 9]))]
    name_server.answers["ext.test.", "A"] = (0, chain)
    answer = ask("ext.test")
    assert [record.type for record in answer.answers] == ["CNAME", "A"]
    assert answer.addresses == ("10.0.0.9",)


def test_nxdomain_and_other_codes_are_answers(ask, name_server):
    assert ask("absent.test").rcode == "NXDOMAIN"
    name_server.answers["odd.test.", "A"] = (5, [])
    assert ask("odd.test").rcode == "REFUSED"
    name_server.answers["empty.test.", "A"] = (0, [])
    answer = ask("empty.test")
    assert (answer.rcode, answer.answers) == ("NOERROR", ())


def test_a_truncated_answer_is_asked_again_over_tcp(ask, name_server):
    records = [("many.test.", A, 5, bytes([10, 0, 0, number])) for number in range(60)]
    name_server.answers["many.test.", "A"] = (0, records)
    name_server.too_large_for_udp.add("many.test.")
    answer = ask("many.test")
    assert answer.is_truncated
    assert answer.protocol == "tcp"
    assert len(answer.addresses) == 60
    assert ask("many.test", fallback=False).addresses == ()
    assert ask("many.test", edns=4096).protocol == "udp"
    assert ask("many.test", tcp=True).is_truncated is False
    assert [(protocol, edns) for _, _, protocol, edns in name_server.asked] == [
        ("udp", 0), ("tcp", 0), ("udp", 0), ("udp", 4096), ("tcp", 0),
    ]  # fmt: skip


def test_silence_has_no_rcode_and_says_so(ask, name_server):
    name_server.answers["quiet.test.", "A"] = (-1, [])
    answer = ask("quiet.test", timeout=0.3)
    assert answer.rcode is None
    assert answer.error == "timeout"
    assert answer.elapsed < 2


def test_a_closed_server_port_is_refused(resident, driver_of, mute):
    one = resident("one")
    driver = driver_of(one)
    answer = driver.resolve(one.place, "x.test", server="127.0.0.8", port=mute[1], timeout=1)
    assert answer.rcode is None
    assert answer.error == "refused:ECONNREFUSED"


def test_the_search_path_is_tried_in_order(ask, name_server):
    ask.conf.write_text("search a.test b.test\nnameserver 127.0.0.1\noptions ndots:5\n")
    name_server.answers["web.b.test.", "A"] = (0, [("web.b.test.", A, 5, bytes([10, 0, 0, 1]))])
    answer = ask("web", server=None)
    assert answer.question == "web.b.test."
    assert [query.question for query in answer.tried] == ["web.a.test.", "web.b.test."]
    assert [query.rcode for query in answer.tried] == ["NXDOMAIN", "NOERROR"]
    assert ask("web.", server=None).tried[0].question == "web."
    assert ask("web", server=None, search=False).rcode == "NXDOMAIN"


def test_the_next_server_is_asked_when_one_is_silent(ask, name_server):
    ask.conf.write_text("nameserver 127.0.0.6\nnameserver 127.0.0.1\noptions timeout:1\n")
    name_server.answers["web.test.", "A"] = (0, [("web.test.", A, 5, bytes([10, 0, 0, 1]))])
    answer = ask("web.test", server=None)
    assert answer.addresses == ("10.0.0.1",)
    assert [query.server for query in answer.tried] == ["127.0.0.6", "127.0.0.1"]


def test_names_in_the_hosts_file(ask):
    assert ask("localhost", files=True).addresses == ("127.0.0.1",)
    assert ask("localhost", files=True).server == "/etc/hosts"


@pytest.mark.parametrize(
    ("ndots", "name", "order"),
    [
        (1, "web", ["web.x.", "web.y.", "web."]),
        (1, "web.a", ["web.a.", "web.a.x.", "web.a.y."]),
        (5, "web.a", ["web.a.x.", "web.a.y.", "web.a."]),
        (5, "web.a.", ["web.a."]),
    ],
)
def test_search_order_is_that_of_resolv_conf(ndots, name, order):
    assert prober.search_order(name, ["x", "y"], ndots) == order


def test_resolv_conf_has_its_defaults(tmp_path):
    conf = tmp_path / "resolv.conf"
    conf.write_text("# comment\nnameserver 10.96.0.10 ; more\nsearch a b.\noptions ndots:5 use-vc\n")
    found = prober.read_resolv_conf(str(conf))
    assert found["servers"] == ["10.96.0.10"]
    assert found["search"] == ["a", "b"]
    assert (found["ndots"], found["timeout"], found["attempts"], found["tcp"]) == (5, 5.0, 2, True)
    assert prober.read_resolv_conf(str(tmp_path / "absent"))["servers"] == ["127.0.0.1"]


@pytest.mark.parametrize("name", ["a..b", "x" * 64, ".".join(["x" * 60] * 5)])
def test_names_that_cannot_be_written_are_refused(name):
    with pytest.raises(prober.BadRequest):
        prober.encode_name(name)


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_a_message_that_is_cut_off_is_damaged_and_not_an_answer(cut):
    query = prober.encode_query(7, "web.test", "A", 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 30, 4) + bytes(4)
    message = query[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + query[12:] + record
    if cut >= len(message):
        return
    with pytest.raises(ValueError, match=r"damaged|past the end"):
        prober.decode_reply(message[:cut])


def test_a_pointer_that_goes_in_a_circle_is_damaged():
    with pytest.raises(ValueError, match="circle"):
        prober.decode_name(bytes(12) + b"\xc0\x0c", 12)
