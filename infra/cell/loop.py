"""What the keeper waits for, in one thread: descriptors, children, and moments."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable

__all__ = ["Loop"]

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR


class Loop:
    """`on_stray` gets (process id, exit code) of a child that nobody awaits."""

    def __init__(self, on_stray: Callable[[int, int], None]) -> None:
        self.on_stray = on_stray
        self.handlers: dict[int, Callable[[], None]] = {}
        self._poll = select.poll()
        self._children: dict[int, Callable[[int], None]] = {}
        self._due: list[tuple[float, Callable[[], None]]] = []

    def run(self) -> None:
        """For ever."""
        woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.on_input(woken, lambda: self._reap(woken))
        self._reap(woken)  # what ended before anybody was woken
        while True:
            for number, _ in self._poll.poll(self._patience()):
                handler = self.handlers.get(number)
                if handler is not None:
                    handler()
            now = time.monotonic()
            due = [one for one in self._due if one[0] <= now]
            self._due = [one for one in self._due if one[0] > now]
            for _, work in due:
                work()

    def _patience(self) -> int | None:
        if not self._due:
            return None
        return max(0, int((min(at for at, _ in self._due) - time.monotonic()) * 1000) + 1)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        self._due.append((time.monotonic() + seconds, work))

    def on_input(self, number: int, handler: Callable[[], None]) -> None:
        self.handlers[number] = handler
        self._poll.register(number, _READABLE)

    def forget(self, number: int) -> None:
        if self.handlers.pop(number, None) is not None:
            self._poll.unregister(number)

    def on_exit(self, pid: int, ended: Callable[[int], None]) -> None:
        """`ended` gets the exit code; a signal's number counts from 128, as a shell has it."""
        self._children[pid] = ended

    def _reap(self, woken: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(woken, 512)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                code = os.waitstatus_to_exitcode(status)
                code = 128 - code if code < 0 else code
                ended = self._children.pop(pid, None)
                if ended is None:
                    self.on_stray(pid, code)
                else:
                    ended(code)
