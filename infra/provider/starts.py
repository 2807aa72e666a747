"""How many cells may be started in a while: Kip's own bound, so that a mistake does not cost a fortune."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Starts"]


@dataclass(slots=True)
class Starts:
    """At most `most` turns in any `within` seconds, in the order in which they were asked for."""

    most: int = 10
    within: float = 7.0
    _taken: deque[float] = field(default_factory=deque)
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def turn(self, clock: Callable[[], float] | None = None) -> None:
        """Returns when it is the caller's turn."""
        tell = clock or asyncio.get_running_loop().time
        async with self._order:
            while len(self._taken) >= self.most and tell() - self._taken[0] < self.within:
                await asyncio.sleep(self.within - (tell() - self._taken[0]))
            self._taken.append(tell())
            while len(self._taken) > self.most:
                self._taken.popleft()
