"""Who was chosen how often, and what counts as even."""

from __future__ import annotations

from kip_conformance.infra.judge.shares import Shares
from kip_conformance.infra.probe.observation import Observation


def series(**counts: int) -> list[Observation]:
    return [Observation("open", peer) for peer, count in counts.items() for _ in range(count)]


def test_counts_are_by_client_and_peer():
    shares = Shares.of({"x": [*series(a=2, b=1), Observation("timeout")], "y": series(b=3)}, ["a", "b"])

    assert shares.counts == {"x": {"a": 2, "b": 1}, "y": {"a": 0, "b": 3}}
    assert shares.unanswered == {"x": {"timeout": 1}}


def test_a_peer_that_never_answered_is_named_with_its_client():
    shares = Shares.of({"x": series(a=60, b=60), "y": series(b=3)}, ["a", "b"])

    assert shares.never_chosen() == ("y never met a in 3 connections",)


def test_the_bounds_are_times_an_equal_share():
    def uneven(**counts: int) -> bool:
        return bool(Shares.of({"x": series(**counts)}, "abcd").uneven(least=1 / 3, most=3.0))

    assert not uneven(a=60, b=60, c=60, d=60)
    assert not uneven(a=20, b=90, c=70, d=60)
    assert uneven(a=19, b=91, c=70, d=60)
    assert uneven(a=181, b=20, c=20, d=19)
    assert uneven(a=240)


def test_a_line_tells_all_counts():
    (line,) = Shares.of({"x": series(a=9, b=1)}, "ab").uneven(least=1 / 3, most=3.0)

    assert line == "x: a 9, b 1 (an equal share is 5)"
