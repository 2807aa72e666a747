"""What counts as choosing among all, and as keeping to one."""

from __future__ import annotations

from dataclasses import dataclass

from kip_conformance.infra.judge.choices import Choices, every_peer_is_chosen, one_peer_is_kept
from kip_conformance.infra.judge.grid import Grid
from kip_conformance.infra.judge.pairs import in_turn
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.probe.probe_target import ProbeTarget

VIP = ProbeTarget("vip", "10.0.0.1", 80, "tcp", ("x", "y"))


def choices(*met: str, target: str = "open") -> Choices:
    seen = {("a", peer): Observation("open" if peer in met else "wrong_peer", peer) for peer in VIP.peers}
    return Choices.of([VIP], [Grid({("a", "vip"): Observation(target), **seen})])


def test_all_met_is_every_peer_chosen():
    assert every_peer_is_chosen(choices("x", "y"))
    assert not one_peer_is_kept(choices("x", "y"))


def test_one_met_is_a_peer_kept():
    assert one_peer_is_kept(choices("x"))
    assert not every_peer_is_chosen(choices("x"))
    assert choices("x").is_repeated_by(choices("x"))
    assert not choices("x").is_repeated_by(choices("y"))


def test_nobody_met_or_an_answer_lost_is_neither():
    for seen in (choices(), choices("x", target="timeout"), choices("x", "y", target="timeout")):
        assert not one_peer_is_kept(seen)
        assert not every_peer_is_chosen(seen)
    assert str(choices("x", target="timeout")) == "a at vip met x (timeout)"


@dataclass(frozen=True)
class Thing:
    name: str


def test_servers_are_taken_in_turn_and_no_client_twice():
    a, b, c, x, y = map(Thing, "abcxy")
    assert in_turn([a, b, c], [x, y]) == ((a, x), (b, y), (c, x))
