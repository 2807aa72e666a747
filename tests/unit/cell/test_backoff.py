"""Pauses before a container starts again."""

from __future__ import annotations

from kip_conformance.infra.cell.backoff import BackOff


def test_the_first_restart_is_at_once_and_later_ones_wait_twice_as_long_each_time():
    pauses = BackOff()
    now, found = 0.0, []
    for _ in range(8):
        found.append(pauses.trouble(now))
        now += found[-1] + 1

    assert found == [0, 10, 20, 40, 80, 160, 300, 300]


def test_ten_minutes_without_trouble_begin_anew():
    pauses = BackOff()
    pauses.trouble(0)
    pauses.trouble(1)
    assert pauses.trouble(1 + 20 + 601) == 0
    assert pauses.trouble(1 + 20 + 602) == 10


def test_it_goes_on_after_a_restart_of_the_agent():
    assert BackOff(40, last=100.0).trouble(101.0) == 40
