"""The programs that live as long as a lab: what their supervisor knows of each, and which it starts again by itself.

Standard library only: this is a part of the supervisor's process.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RESTARTS", "WITHIN", "Daemon"]

RESTARTS = 5
WITHIN = 60.0
"""A daemon that is to be started again is given up when it would be the sixth time within so many seconds."""


@dataclass(slots=True, eq=False)
class Daemon:
    """One program: `exit` is None while it runs. `is_over`: nobody misses it when it has ended.

    `spawn` starts it again on copies of the descriptors that it was started on; None: it is started once.
    """

    pid: int
    is_over: bool
    spawn: Callable[[list[int]], int] | None = None
    descriptors: list[int] = field(default_factory=list)
    exit: int | None = None
    restarts: int = 0
    _began: list[float] = field(default_factory=list)

    def ended(self, status: int) -> bool:
        """It has ended with this status; returns whether it runs again, under a new `pid`."""
        now = time.monotonic()
        self._began = [at for at in self._began if now - at < WITHIN]
        if self.spawn is None or self.is_over:
            self.exit = status
        elif len(self._began) >= RESTARTS:
            self._say(f"ended with {status}; it was started again {RESTARTS} times within {WITHIN:g} s: given up")
            self.exit = status
        else:
            self._began.append(now)
            self.restarts += 1
            self._say(f"ended with {status}; started again, {len(self._began)} of {RESTARTS} times in {WITHIN:g} s")
            try:
                self.pid = self.spawn(self.descriptors)
            except OSError as error:
                self._say(f"could not be started again: {error.strerror}")
                self.exit = status
        if self.exit is not None:
            self.close()
        return self.exit is None

    def close(self) -> None:
        """Let go of the descriptors: it is never started again."""
        self.spawn = None
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []

    def shown(self) -> dict[str, Any]:
        """What `status` says of it."""
        return {"pid": self.pid, "exit": self.exit, "is_over": self.is_over, "restarts": self.restarts}

    def _say(self, line: str) -> None:
        """In the daemon's own log, between its own lines."""
        with contextlib.suppress(OSError):
            os.write(self.descriptors[2], f"supervisor: {line}\n".encode())
