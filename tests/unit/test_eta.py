"""What is left of a run, in seconds: by the run before, by its own pace, and nothing said too early."""

from __future__ import annotations

from pathlib import Path

import pytest
from kip_conformance.fixtures.eta import Eta, durations_of_last_run
from kip_conformance.reports.formats import durations

from .sample_results import ITEMS, RUN


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_run_before_says_what_is_left_even_after_one_item() -> None:
    clock = Clock()
    eta = Eta(["a", "b", "c"], {"a": 1.0, "b": 2.0, "c": 7.0}, clock, began=100.0)
    assert eta.left is None
    clock.now += 2
    eta.done("a")
    # This run takes twice as long as the one before.
    assert eta.left == pytest.approx(18)
    eta.done("c")
    assert eta.left == pytest.approx(2 * 2 / 8)


def test_two_workers_halve_what_is_left_by_themselves() -> None:
    clock = Clock()
    eta = Eta("abcd", dict.fromkeys("abcd", 4.0), clock, began=100.0)
    clock.now += 4
    eta.done("a")
    eta.done("b")
    assert eta.left == pytest.approx(4)


def test_without_a_run_before_its_own_pace_counts_from_the_third_item_on() -> None:
    clock = Clock()
    eta = Eta("abcdef", {}, clock, began=100.0)
    for key in "ab":
        clock.now += 1
        eta.done(key)
        assert eta.left is None
    clock.now += 1
    eta.done("c")
    assert eta.left == pytest.approx(3)


def test_an_item_that_is_new_is_taken_for_a_middling_one() -> None:
    clock = Clock()
    eta = Eta(["a", "b", "new"], {"a": 1.0, "b": 3.0}, clock, began=100.0)
    clock.now += 1
    eta.done("a")
    assert eta.left == pytest.approx(5)


def test_at_the_end_nothing_is_left_and_strangers_change_nothing() -> None:
    clock = Clock()
    eta = Eta(["a"], {}, clock, began=100.0)
    eta.done("stranger")
    assert eta.left is None
    eta.done("a")
    eta.done("a")
    assert eta.left == 0


def test_durations_of_the_last_run_are_read_from_beside_this_one(tmp_path: Path) -> None:
    assert durations_of_last_run(tmp_path / "new") == {}
    (tmp_path / "old").mkdir()
    (tmp_path / "last").symlink_to("old")
    durations.write(RUN, ITEMS, tmp_path / "old")
    found = durations_of_last_run(tmp_path / "new")
    assert set(found) == {item.key for item in ITEMS}
    (tmp_path / "old" / durations.NAME).write_text("[1]")
    assert durations_of_last_run(tmp_path / "new") == {}
