"""Grids: comparing, drawing, headlines."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from kip_conformance.infra.errors import HarnessError, NotRunnable
from kip_conformance.infra.judge.expectations import Expected, every_pair, is_denied, is_open
from kip_conformance.infra.judge.grid import Grid, Site, draw, headline
from kip_conformance.infra.probe.observation import REQUEST_ARRIVED, Observation

NAMES = ("node-a", "node-a-2", "node-b", "node-b-2", "host-a", "host-b")
SITES = {
    name: Site("node-a" if name.split("-")[1] == "a" else "node-b", "host" if name[0] == "h" else "pod")
    for name in NAMES
}
PLACES = [SimpleNamespace(name=name, sources=(f"10.244.0.{number}",)) for number, name in enumerate(NAMES)]
PODS = PLACES[:4]
SILENT = Observation("timeout", detail="no answer")


def seen(client, server, source=None):
    return Observation("open", server.name, source or client.sources[0], 0.001)


def grid_of(places, differing=(), observation=SILENT, **options):
    """A grid in which all is open, but for the pairs for which `differing` (a predicate or a set) holds."""
    holds = differing if callable(differing) else lambda client, server: (client, server) in differing
    return Grid(
        {
            (a.name, b.name): observation if holds(a.name, b.name) else seen(a, b)
            for a, b in itertools.permutations(places, 2)
        },
        sites=SITES,
        protocol="tcp",
        **options,
    )


def told(differing, places=PLACES):
    return headline(grid_of(places, differing), every_pair(places, places, is_open()))


def test_a_grid_as_expected_is_equal_and_keeps_its_cases():
    grid, expected = grid_of(PODS), every_pair(PODS, PODS, is_open())
    assert grid == expected
    assert len(grid.comparison) == 12
    case = grid.comparison[0]
    assert (case.id, case.expected, case.observed, case.ok) == ("node-a-to-node-a-2", "open", "open", True)
    assert case.observation["seen_source"] == "10.244.0.0"
    assert headline(grid, expected) == ""


def test_one_difference_makes_it_differ():
    grid = grid_of(PODS, {("node-a", "node-b")})
    assert grid != every_pair(PODS, PODS, is_open())
    assert [case.id for case in grid.comparison if not case.ok] == ["node-a-to-node-b"]


def test_pairs_that_nobody_judged_never_pass():
    grid, expected = grid_of(PODS), every_pair(PODS, PODS, is_open())
    with pytest.raises(HarnessError, match=r"4 \(host-a-to-node-a"):
        grid == Expected({**expected, **every_pair(PLACES[4:5], PODS, is_open())})  # noqa: B015
    with pytest.raises(HarnessError, match="without expectation"):
        grid == Expected({pair: is_open() for pair in list(expected)[:3]})  # noqa: B015
    with pytest.raises(HarnessError):
        Grid({}) == Expected({})  # noqa: B015


def test_a_restricted_grid_compares_what_it_has():
    part = grid_of(PODS, {("node-a", "node-b")}).restricted_to({("node-b", "node-a"), ("x", "y")})
    assert list(part) == [("node-b", "node-a")]
    assert part == every_pair(PODS, PODS, is_open())
    with pytest.raises(NotRunnable, match="none of its pairs is selected"):
        grid_of(PODS).restricted_to(set()) == every_pair(PODS, PODS, is_open())  # noqa: B015


def test_sources_are_judged_only_where_asked():
    snat = Observation("open", "node-b", "10.20.1.10", 0.001)
    grid = grid_of(PODS, {("node-a", "node-b")}, snat)
    assert grid == every_pair(PODS, PODS, is_open())
    expected = every_pair(PODS, PODS, lambda client, server: is_open(source=client))
    assert grid != expected
    assert headline(grid, expected).startswith(
        "node-a -> node-b: expected open with source 10.244.0.0, saw open with source 10.20.1.10 (1 of 12 pairs differ"
    )


def test_expectations_in_words():
    assert str(is_open()) == "open"
    assert str(is_open(to=PLACES[0])) == "open to node-a"
    assert str(is_open(to=["b", PLACES[0]], source={"10.0.0.1", "10.0.0.2"})) == (
        "open to b or node-a with source 10.0.0.1 or 10.0.0.2"
    )
    assert is_open(to="b").describe(Observation("open", "c", "s")) == "open to c"
    assert str(is_denied) == "denied"


@pytest.mark.parametrize("kind", ["open", "wrong_peer", "no_name"])
def test_what_is_answered_or_has_no_name_is_not_denied(kind):
    assert not is_denied(Observation(kind))


def test_a_reply_that_was_lost_is_a_harness_error_unless_there_is_a_true_difference():
    lost = Observation("timeout", detail=f"no answer; {REQUEST_ARRIVED}")
    expected = every_pair(PODS, PODS, is_denied)
    with pytest.raises(HarnessError, match="no denial"):
        grid_of(PODS, lambda *_: True, lost) == expected  # noqa: B015
    grid = grid_of(PODS, {("node-a", "node-b")}, lost)
    assert grid != expected
    assert headline(grid, expected).startswith("node-a -> node-a-2: expected denied, saw open(")
    assert "?! " in draw(grid, expected)


def test_expected_may_have_exceptions():
    rule, exception = every_pair(PODS, PODS, is_open()), Expected({("node-a", "node-b"): is_denied})
    assert grid_of(PODS, {("node-a", "node-b")}) == rule | exception
    assert (rule | exception)(grid_of(PODS, {("node-a", "node-b")}))


def test_a_place_is_paired_with_itself_only_when_asked():
    assert len(every_pair(PODS, PODS, is_open())) == 12
    assert len(every_pair(PODS, PODS, is_open(), with_self=True)) == 16


@pytest.mark.parametrize(
    ("differing", "words"),
    [
        (lambda c, s: True, "30 of 30 pairs differ: every pair)"),
        (lambda c, s: c == "node-a", "5 of 30 pairs differ: every pair from node-a, this direction only)"),
        (lambda c, s: s == "host-b", "5 of 30 pairs differ: every pair to host-b, this direction only)"),
        (lambda c, s: "node-b" in (c, s), "every pair from or to node-b)"),
        (lambda c, s: SITES[c].machine != SITES[s].machine, "18 of 30 pairs differ: every pair across machines)"),
        (lambda c, s: SITES[c].machine == SITES[s].machine, "every pair within one machine)"),
        (
            lambda c, s: SITES[c].machine == "node-a" and SITES[s].machine == "node-b",
            "9 of 30 pairs differ: every pair from machine node-a to machine node-b, this direction only)",
        ),
        (
            lambda c, s: SITES[c].kind == "host" and SITES[s].kind == "pod",
            "every pair from hosts to pods, this direction only)",
        ),
        (lambda c, s: (c, s) == ("node-a", "node-b"), "this one alone, while node-b -> node-a is as expected)"),
        (lambda c, s: (c, s) in {("node-a", "node-b"), ("node-a", "host-b")}, "all from node-a, to host-b, node-b)"),
        (lambda c, s: (c, s) in {("node-a", "node-b"), ("host-a", "node-b")}, "all to node-b, from host-a, node-a)"),
        (
            lambda c, s: SITES[c].machine != SITES[s].machine and (c, s) != ("node-a", "node-b"),
            "17 of the 18 pairs across machines)",
        ),
    ],
)
def test_a_headline_says_where(differing, words):
    line = told(differing)
    assert line.endswith(words)
    assert "\n" not in line


def test_a_headline_mentions_other_sights():
    grid = grid_of(PODS, {("node-a", "node-b")})
    mixed = Grid({**grid, ("node-b", "node-a"): Observation("refused", detail="ECONNREFUSED")}, sites=SITES)
    assert headline(mixed, every_pair(PODS, PODS, is_open())).endswith("; saw timeout x1, refused x1)")


def test_a_headline_for_a_single_pair_is_short():
    grid = grid_of(PODS, {("node-a", "node-b")}).restricted_to({("node-a", "node-b")})
    assert (
        headline(grid, every_pair(PODS, PODS, is_open())) == "node-a -> node-b: expected open, saw timeout(no answer)"
    )


def test_a_drawing_shows_both_sides_and_the_pairs_that_differ():
    grid = grid_of(PODS, lambda c, s: (c, s) == ("node-a", "node-b"), title="P2P-02")
    assert draw(grid, every_pair(PODS, PODS, is_open())).splitlines() == [
        "P2P-02 tcp",
        "          expected       observed",
        "          1  2  3  4     1  2  3  4",
        "node-a    .  +  +  +     .  +  T! +",
        "node-a-2  +  .  +  +     +  .  +  +",
        "node-b    +  +  .  +     +  +  .  +",
        "node-b-2  +  +  +  .     +  +  +  .",
        "to   1 node-a   2 node-a-2   3 node-b   4 node-b-2",
        "+ open   T timeout   ! differs   . not asked",
        "1 of 12 pairs differ:",
        "  node-a-to-node-b  expected open, saw timeout(no answer)",
    ]


def test_a_drawing_fits_80_columns_and_lists_a_bounded_number():
    many = [SimpleNamespace(name=f"some-place-{number}", sources=()) for number in range(16)]
    grid = Grid({(a.name, b.name): SILENT for a, b in itertools.permutations(many, 2)})
    text = draw(grid, every_pair(many, many, is_open()))
    assert max(map(len, text.splitlines())) <= 80
    assert text.endswith("... and 216 more")


def test_denials_are_drawn_as_expected():
    text = draw(grid_of(PODS, lambda *_: True), every_pair(PODS, PODS, is_denied))
    assert "-  " in text
    assert "!  " not in text


def test_a_grid_in_short():
    assert str(grid_of(PODS, {("node-a", "node-b")})) == "11 open, 1 timeout (node-a -> node-b: timeout(no answer))"
