"""The client of a lab's supervisor: start one, and ask it to run programs, make namespaces, boot machines, tear down.

Any process that knows the lab's folder can be a client at the same time; each request is a connection of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.state import LabFolder
from kip_conformance.infra.targets.protocol import Completed

__all__ = ["Control", "Held", "start_supervisor"]

# What a lab's programs get besides what they ask for: nothing of the caller's (proxies, KUBECONFIG, locale).
BASE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


def start_supervisor(folder: LabFolder, *, within: float = 30.0) -> tuple[Control, int]:
    """Start the lab's supervisor; returns its client and the lifeline.

    The lab lives until the lifeline (a descriptor) is closed or this process ends, unless it is told to be kept.
    Raises HarnessError when the supervisor does not answer within `within` seconds.
    """
    folder.log.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair()
    # Only the supervisor's end may be inherited: a copy of ours in any child would keep the lab alive.
    lifeline = os.dup(ours.fileno())
    os.set_inheritable(lifeline, False)
    ours.close()
    command = [sys.executable, "-m", "kip_conformance.infra.lab.supervisor"]
    with (folder.log / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--folder", str(folder.path), "--lifeline", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[theirs.fileno()],
            cwd="/",
            start_new_session=False,
        )
    theirs.close()
    control = Control(folder)
    deadline = time.monotonic() + within
    while True:
        try:
            control.status()
            break
        except HarnessError:
            if time.monotonic() > deadline or process.poll() not in (None, 0):
                os.close(lifeline)
                process.kill()
                process.wait()
                said = (folder.log / "supervisor.log").read_text(errors="replace").strip().splitlines()
                raise HarnessError(
                    f"lab {folder.run_id}: its supervisor did not start: {said[-1] if said else 'it said nothing'}"
                ) from None
            time.sleep(0.005)
    process.wait(timeout=within)
    return control, lifeline


@dataclass(slots=True)
class Held:
    """A program that runs until `close()`: descriptors of this process's ends of its stdin and stdout."""

    stdin: int
    stdout: int
    connection: socket.socket

    def close(self) -> None:
        """End the program (its process group is killed) and release the descriptors."""
        for descriptor in (self.stdin, self.stdout):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.connection.close()


class Control:
    """Requests to one lab's supervisor. Raises HarnessError whenever the supervisor is away or refuses."""

    def __init__(self, folder: LabFolder) -> None:
        self.folder = folder

    def run(
        self,
        argv: Sequence[str],
        *,
        machine: str | None = None,
        netns: str | None = None,
        stdin: bytes = b"",
        timeout: float = 30.0,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run to the end on `machine`, or in network namespace `netns`, or beside the supervisor."""
        held, stderr = self._start(argv, machine, netns, env)
        deadline = time.monotonic() + timeout
        out, err = bytearray(), bytearray()
        pending = memoryview(stdin)
        with selectors.DefaultSelector() as selector:
            selector.register(held.stdout, selectors.EVENT_READ, out)
            selector.register(stderr, selectors.EVENT_READ, err)
            if pending:
                os.set_blocking(held.stdin, False)
                selector.register(held.stdin, selectors.EVENT_WRITE)
            else:
                os.close(held.stdin)
                held.stdin = -1
            try:
                while selector.get_map():
                    left = deadline - time.monotonic()
                    ready = selector.select(max(left, 0))
                    if not ready and left <= 0:
                        raise HarnessError(f"{machine or netns or 'lab'}: {argv[0]} still ran after {timeout:g} s")
                    for key, _ in ready:
                        if key.data is None:
                            with contextlib.suppress(BrokenPipeError):
                                pending = pending[os.write(held.stdin, pending[:65536]) :]
                                if pending:
                                    continue
                            selector.unregister(held.stdin)
                            os.close(held.stdin)
                            held.stdin = -1
                        elif part := os.read(key.fd, 65536):
                            key.data.extend(part)
                        else:
                            selector.unregister(key.fd)
                held.connection.settimeout(max(deadline - time.monotonic(), 0.001))
                code = self._answer(held.connection)["exit"]
            except TimeoutError as error:
                raise HarnessError(f"{machine or netns or 'lab'}: {argv[0]} still ran after {timeout:g} s") from error
            finally:
                os.close(stderr)
                held.close()
        return Completed(tuple(argv), code, bytes(out), bytes(err))

    def open(
        self,
        argv: Sequence[str],
        *,
        machine: str | None = None,
        netns: str | None = None,
        env: Mapping[str, str] | None = None,
        stderr: int | None = None,
    ) -> Held:
        """Start a program that is held until closed; its stderr goes to `stderr` or nowhere."""
        held, error_pipe = self._start(argv, machine, netns, env, stderr)
        if error_pipe >= 0:
            os.close(error_pipe)
        return held

    def run_attached(
        self,
        argv: Sequence[str],
        descriptors: tuple[int, int, int],
        *,
        machine: str | None = None,
        netns: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Run on the caller's own standard descriptors, without limit of time; returns the exit code."""
        connection = self._send(_exec_message(argv, machine, netns, env), descriptors)
        with connection:
            self._answer(connection)
            return int(self._answer(connection)["exit"])

    def _start(
        self,
        argv: Sequence[str],
        machine: str | None,
        netns: str | None,
        env: Mapping[str, str] | None,
        stderr: int | None = None,
    ) -> tuple[Held, int]:
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe() if stderr is None else (-1, os.dup(stderr))
        try:
            connection = self._send(_exec_message(argv, machine, netns, env), [in_read, out_write, err_write])
            try:
                self._answer(connection)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            for descriptor in (in_write, out_read, err_read):
                if descriptor >= 0:
                    os.close(descriptor)
            raise
        finally:
            for descriptor in (in_read, out_write, err_write):
                os.close(descriptor)
        return Held(in_write, out_read, connection), err_read

    def daemon(
        self,
        name: str,
        argv: Sequence[str],
        *,
        machine: str | None = None,
        env: Mapping[str, str] | None = None,
        listen: int | None = None,
        may_end: bool = False,
        again: bool = False,
    ) -> int:
        """Start a program that lives as long as the lab; its output goes to the log folder. Returns its id there.

        With `may_end` it may also end by itself: `check_daemons` does not miss it. With `again` it is started again
        whenever it does, and its log says so; `check_daemons` misses it once that was given up (daemons.py).
        """
        log = self.log_of(machine, name)
        with log.open("ab") as output, open(os.devnull, "rb") as nothing:
            stdin = nothing.fileno() if listen is None else listen
            return int(
                self._ask(
                    "exec",
                    [stdin, output.fileno(), output.fileno()],
                    argv=list(argv),
                    machine=machine,
                    daemon=name,
                    may_end=may_end,
                    again=again,
                    env={**BASE_ENVIRONMENT, **(env or {})},
                )["pid"]
            )

    def log_of(self, machine: str | None, daemon: str) -> Path:
        """The file that a daemon's output goes to."""
        return self.folder.log / f"{machine or 'lab'}-{daemon}.log"

    def signal(self, machine: str | None, daemon: str, number: signal.Signals) -> None:
        """Send a signal to a daemon's process group; nothing happens when it has ended already."""
        self._ask("signal", machine=machine or "", daemon=daemon, number=int(number))

    def end_daemon(self, machine: str | None, daemon: str, *, within: float = 10.0) -> None:
        """End a daemon on purpose: `check_daemons` does not miss it until it is started again.

        Raises HarnessError when it still runs after `within` seconds.
        """
        self._ask("signal", machine=machine or "", daemon=daemon, number=int(signal.SIGTERM), is_over=True)
        self.wait_daemon(machine, daemon, within=within)

    def wait_daemon(self, machine: str | None, daemon: str, *, within: float) -> int:
        """Wait until a daemon has ended; returns its exit code. Raises HarnessError after `within` seconds."""
        deadline = time.monotonic() + within
        while (code := self.daemons()[machine or "", daemon]) is None:
            if time.monotonic() > deadline:
                raise HarnessError(f"{machine or 'lab'}: {daemon} did not end within {within:g} s")
            time.sleep(0.02)
        return code

    def check_daemons(self) -> None:
        """Raises HarnessError naming the first daemon that has ended by itself, with the last line of its log."""
        for entry in self.status()["daemons"]:
            machine, name, code = entry["machine"], entry["name"], entry["exit"]
            if code is not None and not entry.get("is_over"):
                log = self.log_of(machine or None, name)
                lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
                raise HarnessError(
                    f"{machine or 'lab'}: {name} ended with {code}: {lines[-1] if lines else 'it said nothing'} ({log})"
                )

    def add_netns(self, names: Mapping[str, Mapping[str, str]]) -> None:
        """Create network namespaces, each with its sysctls (paths below /proc/sys/net)."""
        self._ask("netns", add={name: dict(sysctls) for name, sysctls in names.items()})

    def remove_netns(self, names: Sequence[str]) -> None:
        self._ask("netns", remove=list(names))

    def boot(self, name: str, netns: str, files: Mapping[str, str], *, has_own_root: bool = False) -> None:
        """Start a machine on a network namespace; `files` replace files of the host on it.

        With `has_own_root` whatever it writes stays on its disk; without, it shares the host's files.
        """
        self._ask("boot", name=name, netns=netns, files=dict(files), has_own_root=has_own_root)

    def halt(self, name: str, *, within: float = 30.0) -> None:
        """Kill a machine with everything on it, and wait until nothing of it runs and its mounts are gone.

        Its disk and its network namespace stay: `boot` starts it again, `remove_netns` and removing its folder end it.
        Daemons that it had count as ended on purpose. Raises HarnessError when it does not run, or still runs after
        `within` seconds.
        """
        try:
            self._ask("halt", name=name, timeout=within)
        except TimeoutError as error:
            raise HarnessError(f"{name}: still runs {within:g} s after it was killed") from error

    def ended(self, *, within: float) -> list[tuple[str, int]]:
        """The machines that ended by themselves since this was asked last, with their first process's exit code.

        A negative one is a signal: reboot(2) on a machine makes it SIGHUP for a restart, else SIGINT. Waits up to
        `within` seconds for one; nothing when none did.
        """
        try:
            return [(name, code) for name, code in self._ask("ended", timeout=within)["ended"]]
        except TimeoutError:
            return []

    def status(self) -> dict[str, Any]:
        return self._ask("status")

    def daemons(self) -> dict[tuple[str, str], int | None]:
        """(machine, daemon) -> exit code, None while it runs."""
        return {(entry["machine"], entry["name"]): entry["exit"] for entry in self.status()["daemons"]}

    def keep(self) -> None:
        """Let the lab outlive the run that started it."""
        self._ask("keep")

    def stop(self, *, within: float = 30.0) -> None:
        """Tear the lab down and wait until its processes, groups and files are gone."""
        self._ask("stop", timeout=within)

    def is_alive(self) -> bool:
        try:
            self.status()
        except HarnessError:
            return False
        return True

    # -- transport

    def _ask(self, op: str, descriptors: Sequence[int] = (), *, timeout: float = 30.0, **fields: Any) -> dict[str, Any]:
        with self._connected() as connection:
            self._transmit(connection, {"op": op, **fields}, descriptors)
            connection.settimeout(timeout)
            return self._answer(connection)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            try:
                connection.connect(os.fspath(self.folder.control))
            except OSError as error:
                raise HarnessError(f"lab {self.folder.run_id}: its supervisor is away ({error.strerror})") from error
            yield connection
        finally:
            connection.close()

    def _send(self, message: dict[str, Any], descriptors: Sequence[int]) -> socket.socket:
        with self._connected() as connection:
            self._transmit(connection, message, descriptors)
            return socket.socket(fileno=connection.detach())

    def _transmit(self, connection: socket.socket, message: dict[str, Any], descriptors: Sequence[int]) -> None:
        try:
            socket.send_fds(connection, [json.dumps(message).encode()], list(descriptors))
        except OSError as error:
            raise HarnessError(
                f"lab {self.folder.run_id}: {message['op']} could not be sent: {error.strerror}"
            ) from error

    def _answer(self, connection: socket.socket) -> dict[str, Any]:
        try:
            said = connection.recv(1 << 18)
        except TimeoutError:
            raise
        except OSError as error:
            raise HarnessError(f"lab {self.folder.run_id}: its supervisor went away: {error.strerror}") from error
        if not said:
            raise HarnessError(f"lab {self.folder.run_id}: its supervisor went away without an answer")
        answer: dict[str, Any] = json.loads(said)
        if "error" in answer:
            raise HarnessError(f"lab {self.folder.run_id}: {answer['error']}")
        return answer


def _exec_message(
    argv: Sequence[str], machine: str | None, netns: str | None, env: Mapping[str, str] | None
) -> dict[str, Any]:
    return {
        "op": "exec",
        "argv": list(argv),
        "machine": machine,
        "netns": netns,
        "env": {**BASE_ENVIRONMENT, **(env or {})},
    }
