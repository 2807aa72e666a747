"""The only waits: `eventually` something is observed, `consistently` something holds.

They repeat observations and nothing else: an error that an observation raises ends the wait at once, because an
observation that could not be made is no reason to look again. Failing, they tell the whole history in changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result

__all__ = ["NeverHappened", "Seen", "StoppedHolding", "WaitFailed", "consistently", "eventually"]

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
_LINES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """From `at` seconds after the start of the wait on, `count` times in a row, this was seen."""

    at: float
    what: str
    count: int = 1


class WaitFailed(AssertionError):
    """The verdict of a wait, with everything seen during it and the last thing observed."""

    def __init__(self, headline: str, history: tuple[Seen, ...], last: object) -> None:
        self.history, self.last = history, last
        shown = history if len(history) <= _LINES_SHOWN else (*history[:5], None, *history[-(_LINES_SHOWN - 5) :])
        lines = [_line(seen) if seen else f"  ... {len(history) - _LINES_SHOWN} changes more ..." for seen in shown]
        super().__init__("\n".join([headline, *lines]))


class NeverHappened(WaitFailed):
    """`eventually` ran out of time."""


class StoppedHolding(WaitFailed):
    """`consistently` saw what should not have been."""


def eventually(
    observe: Callable[[], T],
    until: Callable[[T], bool],
    *,
    within: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Observe again and again until `until` holds; return that observation.

    `within` seconds bound the start of the last observation; one is always made at the end of the time. Raises
    NeverHappened with the history, and at once whatever `observe` or `until` raises.
    """
    history = _History(clock)

    def once() -> tuple[T, bool]:
        observed = observe()
        satisfied = until(observed)
        history.add(observed)
        return observed, satisfied

    def give_up(state: RetryCallState) -> tuple[T, bool]:
        raise NeverHappened(
            f"not {until_words(until)} within {within:g} s ({history.count} observations)",
            history.changes,
            _result(state)[0],
        )

    observed, _ = Retrying(
        retry=retry_if_result(lambda outcome: not outcome[1]),
        stop=lambda _state: history.elapsed >= within,
        wait=lambda state: max(0.0, min(_pause(state.attempt_number), within - history.elapsed)),
        sleep=sleep,
        retry_error_callback=give_up,
    )(once)
    return observed


def consistently(
    observe: Callable[[], T],
    holds: Callable[[T], bool],
    *,
    for_: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Observe for `for_` seconds, at the beginning and at the end at least; return the last observation.

    Raises StoppedHolding on the first observation that does not hold, and at once whatever `observe` or `holds` raises.
    """
    history = _History(clock)

    def once() -> tuple[T, bool]:
        is_last = history.elapsed >= for_
        observed = observe()
        held = holds(observed)
        history.add(observed)
        if not held:
            raise StoppedHolding(
                f"not {until_words(holds)} for {for_:g} s: otherwise after {history.changes[-1].at:.2f} s "
                f"({history.count} observations)",
                history.changes,
                observed,
            )
        return observed, is_last

    observed, _ = Retrying(
        retry=retry_if_result(lambda outcome: not outcome[1]),
        wait=lambda state: max(0.0, min(_pause(state.attempt_number), for_ - history.elapsed)),
        sleep=sleep,
    )(once)
    return observed


def until_words(predicate: Callable[..., bool]) -> str:
    """A predicate in words: its own, or a function's name."""
    name = getattr(predicate, "__name__", None)
    if name is None:
        return str(predicate)
    return "as awaited" if name == "<lambda>" else name.replace("_", " ")


class _History:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._start = clock, clock()
        self._seen: list[Seen] = []
        self.count = 0

    @property
    def elapsed(self) -> float:
        return self._clock() - self._start

    @property
    def changes(self) -> tuple[Seen, ...]:
        return tuple(self._seen)

    def add(self, observed: object) -> None:
        self.count += 1
        what = str(observed)
        if self._seen and self._seen[-1].what == what:
            last = self._seen[-1]
            self._seen[-1] = Seen(last.at, what, last.count + 1)
        else:
            self._seen.append(Seen(self.elapsed, what))


def _pause(attempt: int) -> float:
    """Quick at first, because most waits are short; then at most two observations a second."""
    return float(min(_LONGEST_PAUSE, _FIRST_PAUSE * 1.5 ** min(attempt - 1, 20)))


def _result(state: RetryCallState) -> tuple[T, bool]:
    assert state.outcome is not None
    outcome: tuple[T, bool] = state.outcome.result()
    return outcome


def _line(seen: Seen) -> str:
    times = f"  (x{seen.count})" if seen.count > 1 else ""
    first, *more = seen.what.splitlines() or [""]
    return "\n".join([f"  {seen.at:7.2f} s  {first}{times}", *(f"             {line}" for line in more)])
