"""Following one probe through what several vantages captured."""

from __future__ import annotations

from kip_conformance.infra.findings.path import Leg, way_back, way_there
from kip_conformance.infra.findings.trace import Rewrite, Stop, furthest, rewrites, trace_of

from .packets import CLIENT, PORT, SERVER, VIP, back, icmp, syn

LEGS = (Leg("node-a"), Leg("node-b", ("nic",)))


def stops(**changes):
    given = {"client_interface": "va", "server_interface": "vb", "translated_at": None, "address": SERVER}
    return way_there(LEGS, **{**given, **changes})


def followed(captures, sources=(CLIENT,), protocol="tcp"):
    return trace_of(captures, sources, PORT, protocol)


def test_the_way_there_and_back():
    assert [(stop.vantage, stop.way, stop.interface) for stop in stops()] == [
        ("node-a", "in", "va"),
        ("node-a", "out", ""),
        ("nic", "in", ""),
        ("nic", "out", ""),
        ("node-b", "in", ""),
        ("node-b", "out", "vb"),
    ]
    assert [(stop.vantage, stop.way) for stop in way_back(stops())][:2] == [("node-b", "in"), ("node-b", "out")]


def test_hosts_have_no_link_of_their_own():
    there = stops(client_interface=None, server_interface=None)
    assert (there[0], there[-1]) == (Stop("node-a", "out"), Stop("node-b", "in"))


def test_before_the_translation_only_the_services_address_counts_and_after_it_no_more():
    there = stops(translated_at=0, address=VIP)
    assert (there[0].only, there[0].beside) == (VIP, "")
    assert {stop.beside for stop in there[1:]} == {VIP}


def test_on_one_machine_there_are_two_stops():
    there = way_there(
        (Leg("node-a"),), client_interface="va", server_interface="v2", translated_at=None, address=SERVER
    )
    assert [(stop.way, stop.interface) for stop in there] == [("in", "va"), ("out", "v2")]


def test_a_packet_counts_as_far_as_it_was_seen():
    trace = followed({"node-a": [("va", syn()), ("eth0", syn(out=True))], "nic": [("ins", syn())]})
    (wave, *_) = trace.waves("tcp")
    assert furthest(wave, stops()) == 2


def test_a_vantage_that_missed_it_does_not_matter_when_a_later_one_saw_it():
    trace = followed({"node-a": [("va", syn())], "node-b": [("eth0", syn()), ("vb", syn(out=True))]})
    assert furthest(trace.waves("tcp")[0], stops()) == len(stops()) - 1


def test_the_wrong_interface_is_not_the_pods():
    trace = followed({"node-b": [("eth0", syn()), ("vc", syn(out=True))]})
    assert furthest(trace.waves("tcp")[0], stops()) == 4


def test_a_packet_for_another_machine_did_not_come_in():
    trace = followed({"node-a": [("va", syn()), ("eth0", syn(out=True))], "nic": [("ins", syn(misaddressed=True))]})
    assert furthest(trace.waves("tcp")[0], stops()) == 1


def test_it_is_followed_through_a_changed_source_port_and_destination():
    trace = followed(
        {
            "node-a": [("va", syn(to=VIP, port=80)), ("eth0", syn("10.20.1.11", source_port=999, out=True))],
            "node-b": [("eth0", back(to="10.20.1.11", to_port=999, out=True))],
        }
    )
    assert trace.destinations() == ((VIP, 80), (SERVER, 8080))
    assert len(trace.answers) == 1


def test_other_probes_between_the_same_ends_are_left_out():
    trace = followed(
        {"node-a": [("va", syn()), ("va", syn(source_port=40000, sequence=1)), ("va", back(to_port=40000))]}
    )
    assert (len(trace.requests), trace.answers) == (1, ())


def test_a_change_of_source_is_where_it_was_first_seen():
    trace = followed({"node-b": [("eth0", syn()), ("vb", syn("10.244.2.1", out=True))]})
    assert rewrites(trace.waves("tcp")[0], stops()) == (Rewrite(5, CLIENT, "10.244.2.1"),)


def test_resets_and_icmp_errors_about_it_are_known():
    trace = followed(
        {"node-b": [("eth0", syn()), ("eth0", back("RST", "ACK", out=True)), ("eth0", icmp(SERVER, (3, 3), syn()))]}
    )
    assert (len(trace.resets), len(trace.errors)) == (1, 1)
    assert all(not wave.sightings for wave in trace.waves("tcp") if wave.is_answer)
