"""exec and attach: a program's streams on the channels of an upgraded connection."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from functools import partial
from typing import TYPE_CHECKING

from kip_conformance.infra.cell.channel import (
    ERROR,
    FULL,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Channel,
    exit_status,
    failure_status,
)
from kip_conformance.infra.cell.handlers import EXECS
from kip_conformance.infra.cell.logs import LogFile
from kip_conformance.infra.cell.paths import POD
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.runtime import log_path
from kip_conformance.infra.cell.terminal import receive_terminal, resize, terminal_listener

if TYPE_CHECKING:
    from kip_conformance.infra.cell.container_life import ContainerLife
    from kip_conformance.infra.cell.http import Request
    from kip_conformance.infra.cell.keeper_client import Exec

__all__ = ["attach", "execute"]

_BLOCK = 32 << 10
_LOOK = 0.02
"""Seconds between two looks at what an attached container has written."""


class _Input:
    """Bytes on their way to a descriptor that may not take them at once."""

    def __init__(self, channel: Channel, number: int) -> None:
        self.channel = channel
        self.number = number
        self.waiting = bytearray()
        self.is_ending = False
        os.set_blocking(number, False)

    def add(self, data: bytes) -> None:
        if self.number >= 0:
            self.waiting += data
            self._push()

    def end(self) -> None:
        """The descriptor is closed once all was written."""
        self.is_ending = True
        self._push()

    def is_full(self) -> bool:
        return len(self.waiting) > FULL

    def _push(self) -> None:
        if self.number < 0:
            return
        try:
            while self.waiting:
                del self.waiting[: os.write(self.number, self.waiting[:_BLOCK])]
        except BlockingIOError:
            self.channel.writers[self.number] = self._push
            return
        except OSError:  # the program reads no more
            self.waiting.clear()
            self.is_ending = True
        self.channel.writers.pop(self.number, None)
        if self.is_ending:
            self.close()

    def close(self) -> None:
        self.waiting.clear()
        if self.number >= 0:
            self.channel.writers.pop(self.number, None)
            os.close(self.number)
            self.number = -1


def execute(channel: Channel, life: ContainerLife, request: Request) -> None:
    """Run a program in the container; returns when it has ended or the client has gone."""
    wants = {name: request.flag(name) or request.text(short) == "1" for name, short in _WANTED.items()}
    runtime, name = life.pod.runtime, life.run_name
    number = next(EXECS)
    argv = request.query.get("command", [])
    pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
    (stdin_read, stdin_write), (stdout_read, stdout_write), (stderr_read, stderr_write) = pipes
    theirs, ours = [stdin_read, stdout_write, stderr_write], [stdin_write, stdout_read, stderr_read]
    terminal, listener = -1, None
    try:
        if wants["tty"]:
            path = f"{POD}/containers/{name}/exec-{number}.sock"
            listener = terminal_listener(path)
            started = runtime.exec(name, argv, (stdin_read, stdout_write, stderr_write), number=number, terminal=path)
            terminal = receive_terminal(listener)
            os.unlink(path)
        else:
            started = runtime.exec(name, argv, (stdin_read, stdout_write, stderr_write), number=number)
    except (CellProblem, OSError) as problem:
        _close(*ours)
        channel.send(ERROR, failure_status(str(problem)))
        channel.close()
        channel.run(lambda _channel, _data: None)
        return
    finally:
        _close(*theirs)
        if listener is not None:
            listener.close()
    with contextlib.closing(started):
        if terminal >= 0:
            _close(*ours)
            _Session(channel, started, {terminal: STDOUT}, os.dup(terminal), wants=wants, terminal=terminal).run()
        else:
            _Session(channel, started, {stdout_read: STDOUT, stderr_read: STDERR}, stdin_write, wants=wants).run()


_WANTED = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
"""The names in the seam, and those in kubelet's own paths."""


class _Session:
    """One exec: its outputs to channels, stdin to it, and its end as a status."""

    def __init__(
        self,
        channel: Channel,
        started: Exec,
        outputs: dict[int, int],
        stdin: int,
        *,
        wants: dict[str, bool],
        terminal: int = -1,
    ) -> None:
        self.channel = channel
        self.started = started
        self.outputs = outputs
        self.input = _Input(channel, stdin)
        self.wants = wants
        self.terminal = terminal
        self.is_drained = False
        if not wants["stdin"] and terminal < 0:
            self.input.close()

    def run(self) -> None:
        for number in self.outputs:
            os.set_blocking(number, False)
            self.channel.handlers[number] = partial(self._read, number)
        self.channel.handlers[self.started.fileno()] = self._ended
        self.channel.is_full = self.input.is_full
        self.channel.run(self._heard)
        self.input.close()
        _close(*self.outputs)

    def _read(self, number: int) -> None:
        which = self.outputs[number]
        is_shown = self.wants["stdout"] or self.terminal >= 0 if which == STDOUT else self.wants["stderr"]
        try:
            data = os.read(number, _BLOCK)
        except BlockingIOError:
            self.is_drained = True
            return
        except OSError:  # a terminal whose program has ended
            data = b""
        if not data:
            self.channel.handlers.pop(number, None)
        elif is_shown:
            self.channel.send(which, data)

    def _ended(self) -> None:
        self.channel.handlers.pop(self.started.fileno(), None)
        for number in self.outputs:
            # What is in the pipe; what the program left running may hold it open for ever.
            self.is_drained = False
            while number in self.channel.handlers and not self.is_drained:
                self._read(number)
        try:
            self.channel.send(ERROR, exit_status(self.started.wait(1)))
        except (CellProblem, TimeoutError) as problem:
            self.channel.send(ERROR, failure_status(str(problem) or "the program's end was not told"))
        self.channel.close()

    def _heard(self, channel: int, data: bytes | None) -> None:
        if channel == STDIN:
            if data is None:
                self.input.end() if self.terminal < 0 else self.input.close()
            elif self.wants["stdin"]:
                self.input.add(data)
        elif channel == RESIZE and data and self.terminal >= 0:
            with contextlib.suppress(ValueError, KeyError, OSError, TypeError):
                size = json.loads(data)
                resize(self.terminal, int(size["Height"]), int(size["Width"]))


def attach(channel: Channel, life: ContainerLife, request: Request) -> None:
    """The container's own streams, from now on; returns when this run has ended or the client has gone."""
    wants = {name: request.flag(name) or request.text(short) == "1" for name, short in _WANTED.items()}
    run_name, attempt = life.run_name, life.state.attempt
    log = LogFile(log_path(life.name, attempt))
    log.at_end()
    stdin: _Input | None = None
    if wants["stdin"] and life.spec.get("stdin"):
        with contextlib.suppress(OSError):
            stdin = _Input(channel, os.open(f"{POD}/containers/{run_name}/stdin", os.O_WRONLY | os.O_NONBLOCK))
            channel.is_full = stdin.is_full
    ticks = _Ticks()
    shown = {b"stdout": (STDOUT, wants["stdout"]), b"stderr": (STDERR, wants["stderr"])}

    def look() -> None:
        ticks.clear()
        is_over = life.run_name != run_name or life.state.kind != "running"
        for entry in log.new():
            which, is_wanted = shown.get(entry.stream, (STDOUT, False))
            if is_wanted:
                channel.send(which, entry.text + (b"\n" if entry.is_whole else b""))
        if is_over:
            ended = life.state.exit_code if life.state.kind != "running" else life.state.last.get("exitCode")
            channel.send(ERROR, exit_status(ended or 0))
            channel.close()

    def heard(which: int, data: bytes | None) -> None:
        if which == STDIN and stdin is not None:
            if data is not None:
                stdin.add(data)
            elif life.spec.get("stdinOnce"):
                stdin.close()
                with contextlib.suppress(CellProblem):
                    life.pod.runtime.keeper.close_stdin(run_name)
        elif which == RESIZE and data and life.spec.get("tty"):
            with contextlib.suppress(ValueError, KeyError, TypeError, CellProblem):
                size = json.loads(data)
                life.pod.runtime.keeper.resize(run_name, int(size["Height"]), int(size["Width"]))

    channel.handlers[ticks.fileno()] = look
    try:
        channel.run(heard)
    finally:
        ticks.close()
        log.close()
        if stdin is not None:
            stdin.close()


class _Ticks:
    """A descriptor that is readable every now and then."""

    def __init__(self) -> None:
        import threading

        self._ours, self._theirs = socket.socketpair()
        self._over = threading.Event()
        threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        with contextlib.suppress(OSError):
            while not self._over.wait(_LOOK):
                self._theirs.send(b"\0")
        self._theirs.close()

    def fileno(self) -> int:
        return self._ours.fileno()

    def clear(self) -> None:
        self._ours.recv(64)

    def close(self) -> None:
        self._over.set()
        self._ours.close()


def _close(*numbers: int) -> None:
    for number in numbers:
        with contextlib.suppress(OSError):
            os.close(number)
