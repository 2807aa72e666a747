"""A plugin for the suites' own processes: their wall clock jumps by an hour before each item, forth and back.

Named with `-p` by the fault clock-jumps. It replaces time.time and time.time_ns, where Python code reads that clock;
the monotonic clock, by which all waits go, is not touched, as a real jump would not touch it.
"""

from __future__ import annotations

import time

__all__ = ["pytest_runtest_setup"]

_HOUR = 3600
_TRUE, _TRUE_NS = time.time, time.time_ns


class _Jump:
    seconds = 0


def pytest_runtest_setup() -> None:
    """An hour forth, at the next item back."""
    _Jump.seconds = 0 if _Jump.seconds else _HOUR


def _time() -> float:
    return _TRUE() + _Jump.seconds


def _time_ns() -> int:
    return _TRUE_NS() + _Jump.seconds * 1_000_000_000


def pytest_configure() -> None:
    time.time, time.time_ns = _time, _time_ns
