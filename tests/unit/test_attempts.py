"""The pace at which a lab's parts are asked while they start."""

from __future__ import annotations

from kip_conformance.infra.lab.attempts import Attempts


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds

    def attempts(self, within: float) -> Attempts:
        return Attempts(within=within, clock=self, sleep=self.sleep)


def test_quick_answers_are_asked_for_at_a_fixed_pace():
    clock = Clock()
    attempts = clock.attempts(within=0.2)

    while not attempts.over():
        attempts.pause()

    assert set(clock.slept) == {0.05}


def test_slow_answers_get_a_pause_as_long_as_they_took():
    clock = Clock()
    attempts = clock.attempts(within=60)

    for took in (0.01, 2.0, 0.5):
        clock.now += took
        attempts.pause()

    assert clock.slept == [0.05, 2.0, 0.5]


def test_the_time_is_over_after_it_and_not_before():
    clock = Clock()
    attempts = clock.attempts(within=3)

    clock.now += 3
    assert not attempts.over()
    clock.now += 0.001
    assert attempts.over()
