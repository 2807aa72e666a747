"""The one process that a lab hangs on: PID 1 of the lab's PID namespace and parent of everything in it.

It holds the read end of the run's lifeline. When the run dies, however it dies, the lifeline ends and this process
kills everything, removes the control groups and the lab's folder, and exits; when this process is killed itself, the
kernel ends the whole PID namespace, and with it every network and mount namespace. Requests come over a unix socket,
one request per connection (control.py is the other side):

    exec     run a program in a machine, in a network namespace or beside this process, on the caller's descriptors
    netns    add or remove network namespaces
    boot     start a machine;  halt: kill one and all that runs on it
    ended    which machines ended by themselves; answers when there is one
    signal   send a signal to a daemon of a machine
    status   what runs;  keep: outlive the run;  stop: tear down

Standard library only, single-threaded: setns and unshare act on the calling thread.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import selectors
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kip_conformance.infra.lab import cgroups, kernel, namespaces
from kip_conformance.infra.lab.daemons import Daemon
from kip_conformance.infra.lab.state import LabFolder

__all__ = ["main"]

_MESSAGE = 1 << 18


class Supervisor:
    """The lab's event loop. `lifeline` is a descriptor whose end of file means that the run is gone."""

    def __init__(self, folder: LabFolder, lifeline: int) -> None:
        self.folder = folder
        self.lifeline: int | None = lifeline
        self.machines: dict[str, dict[str, Any]] = {}
        self.daemons: dict[tuple[str, str], Daemon] = {}
        self.on_exit: dict[int, Callable[[int], None]] = {}
        self.selector = selectors.DefaultSelector()
        self.stopping: list[socket.socket] | None = None
        # Machines that nobody halted and that ended, with the status of their first process; and who wants to know.
        self.ended: list[tuple[str, int]] = []
        self.listeners: list[socket.socket] = []

    def serve(self, listener: socket.socket) -> None:
        """Answer requests until told to stop or until the lifeline ends, then tear down."""
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        self.selector.register(woken, selectors.EVENT_READ, lambda: self._reap(woken))
        self.selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))
        if self.lifeline is not None:
            self.selector.register(self.lifeline, selectors.EVENT_READ, self._lifeline_ended)
        while self.stopping is None:
            for key, _ in self.selector.select():
                key.data()
        listener.close()
        self._tear_down()
        for waiting in self.stopping:
            with contextlib.suppress(OSError):
                waiting.send(b'{"done": true}')

    # -- requests

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self.selector.register(connection, selectors.EVENT_READ, lambda: self._request(connection))

    def _request(self, connection: socket.socket) -> None:
        self.selector.unregister(connection)
        descriptors: list[int] = []
        try:
            message, descriptors, _, _ = socket.recv_fds(connection, _MESSAGE, 3)
            # What a program leaves running in the background must not hold the caller's pipes by a second number.
            # Python 3.11's recv_fds ignores its flags, so that MSG_CMSG_CLOEXEC cannot be asked for.
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            if not message:
                connection.close()
                return
            request = json.loads(message)
            answer = getattr(self, f"_op_{request.pop('op')}")(connection, descriptors, **request)
        except Exception as error:  # a bad request must never end the lab
            answer = {"error": f"{type(error).__name__}: {error}"}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if answer is not None:
            with contextlib.suppress(OSError):
                connection.send(json.dumps(answer).encode())
            connection.close()

    def _op_exec(
        self,
        connection: socket.socket,
        descriptors: list[int],
        *,
        argv: list[str],
        machine: str | None = None,
        netns: str | None = None,
        env: dict[str, str] | None = None,
        daemon: str | None = None,
        may_end: bool = False,
        again: bool = False,
    ) -> dict[str, Any] | None:
        pid = self._spawn(argv, descriptors, machine, netns, env)
        if daemon is not None:
            record = Daemon(pid, may_end)
            if again:
                record.descriptors = [os.dup(one) for one in descriptors]
                record.spawn = lambda held: self._spawn(argv, held, machine, netns, env)
            if (before := self.daemons.get((machine or "", daemon))) is not None:
                before.close()
            self.daemons[machine or "", daemon] = record
            self._watch(record)
            return {"pid": pid}
        connection.send(json.dumps({"pid": pid}).encode())

        def client_gone() -> None:
            if connection.fileno() < 0:
                return  # the program's end was news of the same turn, and came first
            self.selector.unregister(connection)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            connection.close()

        def ended(status: int) -> None:
            if connection.fileno() >= 0:
                self.selector.unregister(connection)
                with contextlib.suppress(OSError):
                    connection.send(json.dumps({"exit": status}).encode())
                connection.close()

        self.selector.register(connection, selectors.EVENT_READ, client_gone)
        self.on_exit[pid] = ended
        return None

    def _watch(self, record: Daemon) -> None:
        """Hear of a daemon's end, and of that of the next process that it is started again as."""

        def ended(status: int) -> None:
            if record.ended(status):
                self._watch(record)

        self.on_exit[record.pid] = ended

    def _spawn(
        self,
        argv: list[str],
        descriptors: list[int],
        machine: str | None,
        netns: str | None,
        env: dict[str, str] | None,
    ) -> int:
        if len(descriptors) != 3:
            raise ValueError(f"exec wants three descriptors, got {len(descriptors)}")
        actions = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(descriptors)]
        full = argv
        home: int | None = None
        if machine is not None:
            init = self._machine(machine)["pid"]
            full = ["nsenter", "-t", str(init), "-n", "-m", "-u", "--wdns=/", "--", *argv]
            # The child must be *born* in the machine's PID namespace; then it is our own child, with its own status.
            home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            there = os.open(f"/proc/{init}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            kernel.setns(there, kernel.CLONE_NEWPID)
            os.close(there)
        elif netns is not None:
            full = ["nsenter", f"--net={namespaces.NETNS_FOLDER / netns}", "--", *argv]
        try:
            return os.posix_spawnp(
                full[0],
                full,
                env if env is not None else dict(os.environ),
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD],
            )
        finally:
            if home is not None:
                kernel.setns(home, kernel.CLONE_NEWPID)
                os.close(home)

    def _machine(self, name: str) -> dict[str, Any]:
        if name not in self.machines:
            raise KeyError(f"no machine {name}; there are {', '.join(sorted(self.machines)) or 'none'}")
        return self.machines[name]

    def _op_netns(
        self,
        _connection: socket.socket,
        _descriptors: list[int],
        *,
        add: dict[str, dict[str, str]] | None = None,
        remove: list[str] | None = None,
    ) -> dict[str, Any]:
        for name, sysctls in (add or {}).items():
            namespaces.add_network_namespace(name, sysctls)
        for name in remove or []:
            kernel.umount(namespaces.NETNS_FOLDER / name)
            (namespaces.NETNS_FOLDER / name).unlink()
        return {}

    def _op_boot(
        self,
        _connection: socket.socket,
        _descriptors: list[int],
        *,
        name: str,
        netns: str,
        files: dict[str, str],
        has_own_root: bool = False,
    ) -> dict[str, Any]:
        if name in self.machines:
            raise ValueError(f"machine {name} runs already")
        pid = namespaces.boot_machine(
            name, netns, self.folder.machine(name), self.folder.path, files, has_own_root=has_own_root
        )
        self.machines[name] = {"pid": pid, "is_halted": False}
        self.on_exit[pid] = lambda status: self._forget(name, status)
        return {"pid": pid}

    def _forget(self, name: str, status: int) -> None:
        if not self.machines.pop(name)["is_halted"]:
            for (machine, _), record in self.daemons.items():
                record.is_over |= machine == name
            self.ended.append((name, status))
            self._tell()

    def _op_ended(self, connection: socket.socket, _descriptors: list[int]) -> None:
        def gone() -> None:
            self.selector.unregister(connection)
            self.listeners.remove(connection)
            connection.close()

        self.listeners.append(connection)
        self.selector.register(connection, selectors.EVENT_READ, gone)
        self._tell()

    def _tell(self) -> None:
        """Tell one listener what has ended; what nobody hears is kept for the next."""
        while self.ended and self.listeners:
            connection = self.listeners.pop(0)
            self.selector.unregister(connection)
            with contextlib.suppress(OSError):
                connection.send(json.dumps({"ended": self.ended}).encode())
                self.ended = []
            connection.close()

    def _op_halt(self, connection: socket.socket, _descriptors: list[int], *, name: str) -> None:
        """Answers once nothing of the machine is left: the kernel lets its first process end only after all others."""
        pid = self._machine(name)["pid"]
        self.machines[name]["is_halted"] = True
        for (machine, _), record in self.daemons.items():
            if machine == name:
                record.is_over = True
        os.kill(pid, signal.SIGKILL)
        before = self.on_exit[pid]

        def ended(status: int) -> None:
            before(status)
            with contextlib.suppress(OSError):
                connection.send(b"{}")
            connection.close()

        self.on_exit[pid] = ended

    def _op_signal(
        self,
        _connection: socket.socket,
        _descriptors: list[int],
        *,
        machine: str,
        daemon: str,
        number: int,
        is_over: bool = False,
    ) -> dict[str, Any]:
        record = self.daemons[machine, daemon]
        record.is_over = is_over
        if record.exit is None:
            os.killpg(record.pid, number)
        return {}

    def _op_status(self, _connection: socket.socket, _descriptors: list[int]) -> dict[str, Any]:
        return {
            "kept": self.lifeline is None,
            "machines": sorted(self.machines),
            "daemons": [
                {"machine": machine, "name": name, **record.shown()} for (machine, name), record in self.daemons.items()
            ],
        }

    def _op_keep(self, _connection: socket.socket, _descriptors: list[int]) -> dict[str, Any]:
        if self.lifeline is not None:
            self.selector.unregister(self.lifeline)
            os.close(self.lifeline)
            self.lifeline = None
        return {}

    def _op_stop(self, connection: socket.socket, _descriptors: list[int]) -> None:
        self.stopping = [*(self.stopping or []), connection]

    # -- ends

    def _lifeline_ended(self) -> None:
        self.stopping = self.stopping or []

    def _reap(self, woken: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(woken, 512)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                ended = self.on_exit.pop(pid, None)
                if ended is not None:
                    ended(os.waitstatus_to_exitcode(status))

    def _tear_down(self) -> None:
        """Kill all, reap all, remove groups and files. Everything else ends with this process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        cgroups.remove(self.folder.run_id)
        shutil.rmtree(self.folder.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.path.parent.rmdir()  # only when this was the last lab


def _become_init() -> None:
    """Leave the caller's session and become PID 1 of a PID namespace with private mounts."""
    os.setsid()
    kernel.unshare(kernel.CLONE_NEWPID | kernel.CLONE_NEWNS)
    if os.fork():
        os._exit(0)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("proc", "/proc", "proc")
    # Network namespaces get their names below /run/netns: on a /run of this mount namespace, never on the host's.
    kernel.mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    namespaces.NETNS_FOLDER.mkdir()


def main(arguments: list[str] | None = None) -> int:
    """Entry point: `python -m kip_conformance.infra.lab.supervisor --folder DIR --lifeline FD`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--lifeline", type=int, required=True)
    options = parser.parse_args(arguments)
    folder = LabFolder(options.folder)
    os.set_inheritable(options.lifeline, False)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(os.fspath(folder.control))
    folder.control.chmod(0o600)
    listener.listen(128)
    _become_init()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Supervisor(folder, options.lifeline).serve(listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
