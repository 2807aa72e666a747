"""Asking a part of the lab again and again until it is there, at a pace that leaves a slow machine time to get there.

For bringing a lab up. What a check waits for is judged with infra/judge/waits.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Attempts"]


class Attempts:
    """The time that a wait has. Between two questions it pauses as long as the last one took, at least `every` seconds.

    A machine that is busy starting things answers slowly; being asked without pause, it would start them later still.
    """

    def __init__(
        self,
        *,
        within: float,
        every: float = 0.05,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep, self._every = clock, sleep, every
        self._asked = clock()
        self._deadline = self._asked + within

    def over(self) -> bool:
        """Whether the time is up: the answer just seen was the last."""
        return self._clock() > self._deadline

    def pause(self) -> None:
        """Sleep before the next question."""
        self._sleep(max(self._every, self._clock() - self._asked))
        self._asked = self._clock()
