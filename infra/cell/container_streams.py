"""The streams of one run of a container, as the keeper serves them: outputs to its log, a FIFO to its stdin."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket

from kip_conformance.infra.cell.log_writer import LogWriter
from kip_conformance.infra.cell.loop import Loop
from kip_conformance.infra.cell.terminal import receive_terminal, resize, terminal_listener

__all__ = ["ContainerStreams"]

_BLOCK = 64 << 10


class ContainerStreams:
    """`stdin` is a FIFO or empty, `terminal` the path of a console socket or empty. Raises OSError.

    `theirs` are the standard descriptors that runc gets; they are closed by `given` once it has them.
    """

    def __init__(self, loop: Loop, log: str, stdin: str, terminal: str) -> None:
        self.loop = loop
        self.writer = LogWriter(log)
        self.theirs: list[int] = []
        self._ours: list[int] = []
        self._terminal = -1
        # Read and write: opening waits for nobody, and no writer's going ends the stream.
        self._stdin = os.open(stdin, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK) if stdin else -1
        if terminal:
            listener = terminal_listener(terminal)
            self.theirs = [os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC) for _ in range(3)]
            loop.on_input(listener.fileno(), lambda: self._terminal_comes(listener))
            return
        self.theirs.append(os.open(stdin or os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        for stream in ("stdout", "stderr"):
            read, write = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(read, False)
            self.theirs.append(write)
            self._ours.append(read)
            self._log(read, stream)

    def given(self) -> None:
        for descriptor in self.theirs:
            os.close(descriptor)
        self.theirs = []

    def close_stdin(self) -> None:
        if self._stdin >= 0:
            self.loop.forget(self._stdin)
            os.close(self._stdin)
            self._stdin = -1

    def resize(self, rows: int, columns: int) -> None:
        if self._terminal >= 0:
            resize(self._terminal, rows, columns)

    def ended(self) -> None:
        """The container has: read what it left in its pipes, before its end is told."""
        self.close_stdin()
        for descriptor in self._ours:
            with contextlib.suppress(OSError):
                while descriptor in self.loop.handlers and select.select([descriptor], [], [], 0)[0]:
                    self.loop.handlers[descriptor]()

    def _log(self, descriptor: int, stream: str) -> None:
        self.writer.streams += 1
        self.loop.on_input(descriptor, lambda: self._read(descriptor, stream))

    def _read(self, descriptor: int, stream: str) -> None:
        try:
            part = os.read(descriptor, _BLOCK)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal whose other side is closed
                raise
            part = b""
        if part:
            self.writer.write(stream, part)
            return
        self.loop.forget(descriptor)
        os.close(descriptor)
        self._ours = [one for one in self._ours if one != descriptor]
        if descriptor == self._terminal:
            self._terminal = -1
        self.writer.end_stream()

    def _terminal_comes(self, listener: socket.socket) -> None:
        self.loop.forget(listener.fileno())
        self._terminal = receive_terminal(listener)
        os.set_blocking(self._terminal, False)
        self._ours.append(self._terminal)
        self._log(self._terminal, "stdout")
        if self._stdin >= 0:
            self.loop.on_input(self._stdin, self._typed)

    def _typed(self) -> None:
        with contextlib.suppress(BlockingIOError):
            part = os.read(self._stdin, 4096)
            if self._terminal >= 0:
                os.write(self._terminal, part)
