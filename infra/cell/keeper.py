"""The process that containers hang on: it starts runc, writes their logs, waits for their ends, and outlives the agent.

The agent is a child of the keeper and is started again whenever it ends; containers and running execs never notice.
Small on purpose, for it is there as long as the cell: one thread, and of the standard library only what costs nothing.
Messages are marshalled values on a socket that only root reaches; both ends come from one archive.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from kip_conformance.infra.cell.container_streams import ContainerStreams
from kip_conformance.infra.cell.loop import Loop
from kip_conformance.infra.cell.paths import KEEPER, RUN

__all__ = ["MESSAGE", "UNUSABLE", "Keeper", "keep"]

UNUSABLE = 2
"""The agent's exit code for settings that will be no better the next time."""

MESSAGE = 256 << 10
"""The longest message, in bytes."""
_PR_SET_CHILD_SUBREAPER = 36
_PAUSE = 0.3
"""Seconds until an agent that ended is started again; ten times that when it lived for less than a second."""


class Container:
    """One run of one container."""

    def __init__(self, streams: ContainerStreams) -> None:
        self.streams = streams
        self.pid = 0
        self.exit: int | None = None
        self.started = time.time()
        self.finished = 0.0

    def told(self) -> dict[str, Any]:
        return {"pid": self.pid, "exit": self.exit, "started": self.started, "finished": self.finished}


class Keeper:
    """`agent` is the command that is kept running; nothing is, when it is empty."""

    def __init__(self, agent: Sequence[str], path: str = KEEPER) -> None:
        self.agent = list(agent)
        self.path = path
        self.loop = Loop(self._stray)
        self.containers: dict[str, Container] = {}
        self.watchers: list[socket.socket] = []
        self.strays: dict[int, int] = {}
        self.starting = 0

    def run(self) -> None:
        """For ever. Raises OSError when the socket cannot be made."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.path)
        os.chmod(self.path, 0o600)
        listener.listen(64)
        self.loop.on_input(listener.fileno(), lambda: self._accept(listener))
        self._start_agent()
        self.loop.run()

    def _start_agent(self) -> None:
        if not self.agent:
            return
        began = time.monotonic()

        def ended(status: int) -> None:
            if status == UNUSABLE:
                raise SystemExit(UNUSABLE)
            print(f"cell: the agent ended with {status}; it starts again", flush=True)
            self.loop.later(_PAUSE if time.monotonic() - began > 1 else 10 * _PAUSE, self._start_agent)

        defaults = [signal.SIGPIPE, signal.SIGINT]
        pid = os.posix_spawn(self.agent[0], self.agent, dict(os.environ), setsigmask=[], setsigdef=defaults)
        self.loop.on_exit(pid, ended)

    def _stray(self, pid: int, code: int) -> None:
        # A container may end before runc, which started it, has ended and said its process id.
        if self.starting:
            self.strays[pid] = code

    # -- requests

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self.loop.on_input(connection.fileno(), lambda: self._request(connection))

    def _request(self, connection: socket.socket) -> None:
        descriptors: list[int] = []
        try:
            data, descriptors, _, _ = socket.recv_fds(connection, MESSAGE, 3)
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            if not data:
                self._gone(connection)
                return
            request = marshal.loads(data)
            getattr(self, f"_do_{request.pop('do')}")(connection, descriptors, **request)
        except OSError as error:
            self._send(connection, {"error": f"{error.strerror}: {error.filename or ''}".rstrip(": ")})
        except (ValueError, TypeError, KeyError, AttributeError, EOFError) as error:
            self._send(connection, {"error": f"{type(error).__name__}: {error}"})
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _gone(self, connection: socket.socket) -> None:
        self.loop.forget(connection.fileno())
        if connection in self.watchers:
            self.watchers.remove(connection)
        connection.close()

    @staticmethod
    def _send(connection: socket.socket, value: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            connection.send(marshal.dumps(value))

    def _tell(self) -> None:
        """All that is known of containers, to whoever watches."""
        known = {"containers": {name: one.told() for name, one in self.containers.items()}}
        for watcher in list(self.watchers):
            self._send(watcher, known)

    def _do_watch(self, connection: socket.socket, _descriptors: list[int]) -> None:
        self.watchers.append(connection)
        self._tell()

    def _do_forget(self, connection: socket.socket, _descriptors: list[int], *, name: str) -> None:
        self.containers.pop(name, None)
        self._send(connection, {})

    def _do_close_stdin(self, connection: socket.socket, _descriptors: list[int], *, name: str) -> None:
        if name in self.containers:
            self.containers[name].streams.close_stdin()
        self._send(connection, {})

    def _do_resize(
        self, connection: socket.socket, _descriptors: list[int], *, name: str, rows: int, columns: int
    ) -> None:
        if name in self.containers:
            self.containers[name].streams.resize(rows, columns)
        self._send(connection, {})

    def _do_exec(self, connection: socket.socket, descriptors: list[int], *, argv: list[str], pidfile: str) -> None:
        """`runc exec --detach` with the caller's descriptors; answers with the process id, later with its end."""
        # The caller only listens from now on; its going away is noticed when the answer is sent.
        self.loop.forget(connection.fileno())

        def ended(code: int) -> None:
            self._send(connection, {"exit": code})
            connection.close()

        def started(code: int) -> None:
            pid = _read_pid(pidfile)
            if code != 0 or not pid:
                self._send(connection, {"error": f"runc ended with {code}"})
                connection.close()
                return
            self._send(connection, {"pid": pid})
            self._await(pid, ended)

        self._run(argv, descriptors, started)

    def _do_start(
        self,
        connection: socket.socket,
        _descriptors: list[int],
        *,
        name: str,
        argv: list[str],
        pidfile: str,
        log: str,
        stdin: str,
        terminal: str,
    ) -> None:
        """`runc run --detach`. `stdin` is a FIFO or empty, `terminal` the path of a console socket or empty."""
        streams = ContainerStreams(self.loop, log, stdin, terminal)
        container = self.containers[name] = Container(streams)

        def ended(code: int) -> None:
            container.exit, container.finished = code, time.time()
            streams.ended()
            self._tell()

        def started(code: int) -> None:
            pid = _read_pid(pidfile)
            if code != 0 or not pid:
                self.containers.pop(name, None)
                streams.close_stdin()
                self._send(connection, {"error": f"runc ended with {code}"})
                return
            container.pid, container.started = pid, time.time()
            self._send(connection, {"pid": pid})
            self._tell()
            self._await(pid, ended)

        self._run(argv, streams.theirs, started)
        streams.given()

    def _await(self, pid: int, ended: Callable[[int], None]) -> None:
        if pid in self.strays:
            ended(self.strays.pop(pid))
        else:
            self.loop.on_exit(pid, ended)

    def _run(self, argv: list[str], descriptors: Sequence[int], ended: Callable[[int], None]) -> None:
        """Start runc; `ended` is called with its exit code."""

        def over(code: int) -> None:
            self.starting -= 1
            ended(code)
            if not self.starting:
                self.strays.clear()  # nobody will ask for these, and the kernel uses numbers again

        self.loop.on_exit(self._spawn(argv, descriptors), over)
        self.starting += 1

    @staticmethod
    def _spawn(argv: list[str], descriptors: Sequence[int]) -> int:
        actions: list[Any] = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(descriptors)]
        return os.posix_spawnp(
            argv[0],
            argv,
            dict(os.environ),
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGCHLD],
        )


def _read_pid(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def keep(archive: str, settings: str) -> int:
    """Be the keeper for ever: make its process the one that orphans are handed to, then serve."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        print(f"cell: prctl: {os.strerror(ctypes.get_errno())}", flush=True)
        return 1
    os.makedirs(RUN, mode=0o700, exist_ok=True)
    os.umask(0o022)
    Keeper([sys.executable, "-I", "-S", "-B", archive, "--settings", settings, "agent"]).run()
    return 0
