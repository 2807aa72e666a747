"""Where the time went: steps, phases, and what kept a worker from working."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kip_conformance.reports.document import document
from kip_conformance.reports.fold import conclude
from kip_conformance.reports.model import ItemResult, Step
from kip_conformance.reports.timing import timing_of, timing_text

from .few_rows import few_rows
from .sample_results import BEGAN, ITEMS, RUN


def item(identifier: str, worker: str, began: float, duration: float) -> ItemResult:
    phases = {"setup": 0.1, "call": duration - 0.1, "teardown": 0.0}
    return ItemResult(
        identifier, {}, "pass", worker=worker, began=BEGAN + began, duration=duration, phases=phases
    )  # fmt: skip


def test_idle_time_is_told_apart_by_what_was_waited_for() -> None:
    run = replace(RUN, steps=(Step("switch to nftables", BEGAN + 14.0, 2.0),))
    items = [
        item("IDN-01", "gw0", 10.0, 4.0),
        item("IDN-02", "gw1", 10.0, 1.0),
        item("P2P-01", "gw1", 11.5, 0.5),
        item("SVC-01", "gw0", 16.0, 1.0),
        item("NPT-01", "gw1", 16.0, 4.0),
    ]
    timing = timing_of(document(run, conclude(run, items, few_rows())))
    assert timing["workers"] == {
        "gw0": {"items": 2, "busy": 5.0, "atBarriers": 2.0, "betweenItems": 0.0, "atTheEnd": 3.0},
        "gw1": {"items": 3, "busy": 5.5, "atBarriers": 4.0, "betweenItems": 0.5, "atTheEnd": 0.0},
    }
    assert timing["judging"] == {
        "began": 10.0, "ended": 20.0, "items": 5, "setup": 0.5, "call": 10.0, "teardown": 0.0
    }  # fmt: skip
    assert [one["item"] for one in timing["items"]][:2] == ["IDN-01", "NPT-01"]


def test_the_text_has_the_bring_up_the_switches_and_the_ten_slowest() -> None:
    text = timing_text(timing_of(document(RUN, conclude(RUN, ITEMS, few_rows()))))
    assert "bring-up" in text
    assert "    API server ready" in text
    assert "  switch to nftables" in text
    assert text.count(" s\n") - text.partition("Slowest items")[0].count(" s\n") == 10
    assert max(map(len, text.splitlines())) <= 90


@pytest.mark.parametrize("missing", [{"began": 0.0, "phases": {}}])
def test_items_that_do_not_say_when_they_began_have_no_workers(missing: dict) -> None:
    items = [replace(one, **missing) for one in ITEMS]
    timing = timing_of(document(RUN, conclude(RUN, items, few_rows())))
    assert timing["workers"] == {}
    assert "Slowest items" in timing_text(timing)
