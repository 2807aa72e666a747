"""How long kubelet waits before it starts a container again, or pulls an image again.

Kubernetes documentation, Pod Lifecycle: 10 s, 20 s, 40 s up to five minutes; ten minutes without trouble begin anew.
The first restart does not wait.
"""

from __future__ import annotations

__all__ = ["BackOff"]

_FIRST, _MOST = 10.0, 300.0
_FORGOTTEN_AFTER = 2 * _MOST


class BackOff:
    """Of one container or one image. Times are seconds of any clock that never jumps."""

    def __init__(self, wait: float = 0.0, last: float | None = None) -> None:
        self.wait = wait
        self.last = last
        """When the last trouble was, None for never."""

    def pause(self, now: float) -> float:
        """Seconds left to wait, after something ended at `last`."""
        return max(0.0, self.last + self.wait - now) if self.last is not None else 0.0

    def trouble(self, now: float) -> float:
        """Something has ended; returns how long to wait from now on, zero for the first time."""
        is_forgotten = self.last is None or now - self.last > self.wait + _FORGOTTEN_AFTER
        pause = 0.0 if is_forgotten else self.wait
        self.wait = _FIRST if is_forgotten else min(self.wait * 2, _MOST)
        self.last = now
        return pause
