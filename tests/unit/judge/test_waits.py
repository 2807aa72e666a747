"""The waits, with a clock that only sleeping moves."""

from __future__ import annotations

import itertools

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.judge.expectations import is_denied, is_open
from kip_conformance.infra.judge.waits import NeverHappened, StoppedHolding, consistently, eventually
from kip_conformance.infra.probe.observation import Observation

OPEN, SILENT = Observation("open", "b", "10.0.0.1", 0.01), Observation("timeout", detail="no answer")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def sequence(*values):
    """An observation that gives these one after the other, and the last for ever."""
    source = itertools.chain(values, itertools.repeat(values[-1]))
    return lambda: next(source)


def test_eventually_returns_the_observation_that_satisfied_it(clock):
    observed = eventually(sequence(SILENT, SILENT, OPEN), is_open(), within=5, clock=clock, sleep=clock.sleep)
    assert observed is OPEN
    assert len(clock.slept) == 2


def test_eventually_does_not_sleep_when_it_is_true_at_once(clock):
    assert eventually(lambda: 7, lambda value: value == 7, within=0, clock=clock, sleep=clock.sleep) == 7
    assert clock.slept == []


def test_eventually_fails_with_the_history_in_changes(clock):
    observe = sequence(SILENT, SILENT, SILENT, Observation("refused"))
    with pytest.raises(NeverHappened) as caught:
        eventually(observe, is_open(source="10.0.0.1"), within=3, clock=clock, sleep=clock.sleep)
    assert isinstance(caught.value, AssertionError)
    first, second = caught.value.history
    assert (first.at, first.what, first.count) == (0.0, "timeout(no answer)", 3)
    assert second.what == "refused"
    assert caught.value.last == Observation("refused")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("not open with source 10.0.0.1 within 3 s (")
    assert lines[1].split() == ["0.00", "s", "timeout(no", "answer)", "(x3)"]


def test_eventually_looks_once_more_when_the_time_is_over(clock):
    ends = clock.now + 2
    observed = eventually(lambda: clock.now, lambda now: now >= ends, within=2, clock=clock, sleep=clock.sleep)
    assert observed == pytest.approx(ends)


def test_errors_end_a_wait_at_once(clock):
    def broken():
        raise HarnessError("channel is dead")

    for wait in (
        lambda: eventually(broken, is_open(), within=5, clock=clock, sleep=clock.sleep),
        lambda: consistently(broken, is_open(), for_=5, clock=clock, sleep=clock.sleep),
        lambda: eventually(
            lambda: Observation("timeout", detail="no listener vouches for this target"), is_denied, within=5
        ),
    ):
        with pytest.raises(HarnessError):
            wait()
    assert clock.slept == []


def test_consistently_looks_at_the_beginning_and_at_the_end(clock):
    seen = []
    consistently(lambda: seen.append(clock.now - 100), lambda _: True, for_=2, clock=clock, sleep=clock.sleep)
    assert seen[0] == 0
    assert seen[-1] == pytest.approx(2)
    assert len(seen) > 3


def test_consistently_fails_on_the_first_that_does_not_hold(clock):
    with pytest.raises(StoppedHolding) as caught:
        consistently(sequence(SILENT, SILENT, OPEN), is_denied, for_=5, clock=clock, sleep=clock.sleep)
    assert [seen.count for seen in caught.value.history] == [2, 1]
    assert str(caught.value).startswith("not denied for 5 s: otherwise after 0.0")


def test_a_long_history_is_shown_in_part(clock):
    with pytest.raises(NeverHappened) as caught:
        eventually(itertools.count().__next__, lambda _: False, within=30, clock=clock, sleep=clock.sleep)
    assert len(caught.value.history) > 50
    assert len(str(caught.value).splitlines()) == 22


def test_it_reads_in_words(clock):
    def ready_again(_):
        return False

    with pytest.raises(NeverHappened, match="not ready again within 1 s"):
        eventually(lambda: 1, ready_again, within=1, clock=clock, sleep=clock.sleep)
