"""Reading replies and concluding from them, without any prober."""

from __future__ import annotations

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.probe.choice import chosen, worst
from kip_conformance.infra.probe.observation import NOT_VOUCHED, REQUEST_ARRIVED, Observation
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.probe.rounds import Control, Question, Round
from kip_conformance.infra.targets.protocol import Place

PLACES = {
    name: Place(name, "pod", f"machine-{name}", f"10.0.0.{number}", (f"10.0.0.{number}",), (8080, 8081), "/s")
    for number, name in enumerate(("a", "b", "c"), 1)
}
TARGET = ProbeTarget("b", "10.0.0.2", 8080, "tcp", ("b",), backend_port=8080)


def open_by(peer, source="10.0.0.1", *, instance="i-b", attempt=1):
    return ["open", peer, source, 40000, 0.001, attempt, instance]


def concluded(result, control=None, *, target=TARGET, arrived=False):
    round_ = Round([Question("a", target)], PLACES, timeout=1.0)
    round_.read("a", {"results": [result], "lag": 0.0}, "n")
    for name in target.peers:
        round_.read(name, {"results": [control or open_by(name, "127.0.0.1")] * len(round_._asked[name])}, "m")
    return round_.conclude(0, PLACES, arrived=arrived)


def test_messages_hold_the_probes_and_the_controls():
    round_ = Round([Question("a", TARGET), Question("b", TARGET)], PLACES, timeout=0.5, options={"size": 9})
    assert round_.clients == ("a", "b")
    assert round_.message("b", "n") == {
        "op": "probe",
        "nonce": "n",
        "defaults": {"timeout": 0.5},
        "probes": [
            {"proto": "tcp", "host": "10.0.0.2", "port": 8080, "size": 9},
            {"proto": "tcp", "host": "127.0.0.1", "port": 8080},
        ],
    }
    assert list(round_.controls) == [Control("b", "tcp", 8080)]


def test_a_target_without_a_known_backend_port_needs_all_ports_of_its_peers():
    service = ProbeTarget("svc", "10.96.0.1", 80, "udp", ("b", "c"))
    round_ = Round([Question("a", service)], PLACES, timeout=1)
    assert list(round_.controls) == [Control(name, "udp", port) for name in ("b", "c") for port in (8080, 8081)]


def test_open_keeps_peer_source_and_attempt():
    assert concluded(open_by("b")) == Observation("open", "b", "10.0.0.1", 0.001)
    assert concluded(open_by("b", attempt=2)).detail == "answered at the second attempt"


def test_an_answer_by_another_place_or_another_process_is_a_wrong_peer():
    assert concluded(open_by("c")).kind == "wrong_peer"
    assert concluded(open_by("b", instance="i-other")).kind == "wrong_peer"


@pytest.mark.parametrize("kind", ["refused", "reset", "timeout", "unreachable"])
def test_no_answer_counts_when_the_listener_is_alive(kind):
    assert concluded([kind, None, "why"]) == Observation(kind, detail="why")
    assert concluded([kind, None, "why"], arrived=True).detail == f"why; {REQUEST_ARRIVED}"


@pytest.mark.parametrize(
    "control", [["refused", None, "ECONNREFUSED"], ["timeout", None, "no answer"], open_by("c", "127.0.0.1")]
)
def test_no_answer_counts_for_nothing_when_the_listener_is_dead(control):
    with pytest.raises(
        HarnessError, match=r"listener tcp 8080 of place b does not answer its own prober at 127\.0\.0\.1"
    ):
        concluded(["timeout", None, "no answer"], control)


def test_without_peers_nothing_vouches():
    bare = ProbeTarget("void", "10.0.0.9", 80, "udp", ())
    assert concluded(["timeout", None, "no answer"], target=bare).detail == f"no answer; {NOT_VOUCHED}"


def test_a_probe_that_could_not_be_sent_is_no_observation():
    with pytest.raises(HarnessError, match="place a: could not probe b: EMFILE"):
        concluded(["error", None, "EMFILE"])


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"results": None},
        {"results": []},
        {"results": [["open"]]},
        {"results": [["maybe", None, "x"]]},
        {"results": [7]},
    ],
)
def test_replies_that_do_not_answer_are_harness_errors(reply):
    round_ = Round([Question("a", TARGET)], PLACES, timeout=1)
    with pytest.raises(HarnessError, match="place a: its prober returned"):
        round_.read("a", reply, "n")


def test_late_probers_on_either_side_are_noticed():
    round_ = Round([Question("a", TARGET)], PLACES, timeout=1.0)
    for lag, is_late in ((0.05, False), (0.2, True)):
        round_.lag = {"b": lag}
        assert round_.ran_late(round_.questions[0]) is is_late


def test_the_worst_of_many_attempts_and_their_counts():
    fine, silent = Observation("open", "b", "10.0.0.1", 0.1), Observation("timeout", detail="no answer")
    assert worst([fine, fine]) == fine
    assert str(worst([fine, silent, Observation("refused"), silent])) == (
        "timeout(no answer; of 4 attempts: timeout 2, refused 1)"
    )


def test_of_several_sources_the_foreign_one_is_shown():
    own, other = (Observation("open", "b", source) for source in ("10.0.0.1", "10.20.1.10"))
    seen = chosen([own, other, own], "b", ("10.0.0.1",))
    assert seen.seen_source == "10.20.1.10"
    assert seen.detail == "saw 2 sources: 10.0.0.1, 10.20.1.10"
    assert chosen([own], "c", ()).detail == "never chosen in 1 probes"
