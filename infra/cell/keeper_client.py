"""The agent's way to the keeper: start containers and execs, and hear of their ends."""

from __future__ import annotations

import marshal
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.cell.keeper import MESSAGE
from kip_conformance.infra.cell.paths import KEEPER
from kip_conformance.infra.cell.problems import CellProblem

__all__ = ["Exec", "KeeperClient"]


@dataclass(slots=True)
class Exec:
    """A program that was started in a container. `connection` is readable when it has ended."""

    pid: int
    connection: socket.socket

    def fileno(self) -> int:
        return self.connection.fileno()

    def wait(self, seconds: float | None = None) -> int:
        """Its exit code. Raises TimeoutError after `seconds`."""
        self.connection.settimeout(seconds)
        answer = _answer(self.connection)
        return int(answer["exit"])

    def close(self) -> None:
        self.connection.close()


class KeeperClient:
    """Requests to the keeper; each is a connection of its own. Raises CellProblem when it is away or refuses."""

    def __init__(self, path: str = KEEPER) -> None:
        self.path = path

    def start(self, name: str, argv: Sequence[str], *, pidfile: str, log: str, stdin: str, terminal: str) -> int:
        """Run a container; returns its process id once it runs."""
        answer = self._ask(
            do="start", name=name, argv=list(argv), pidfile=pidfile, log=log, stdin=stdin, terminal=terminal
        )
        return int(answer["pid"])

    def exec(self, argv: Sequence[str], descriptors: Sequence[int], *, pidfile: str) -> Exec:
        """Run `runc exec --detach` with these standard descriptors, which stay the caller's to close."""
        connection = self._connect()
        try:
            message = {"do": "exec", "argv": list(argv), "pidfile": pidfile}
            socket.send_fds(connection, [marshal.dumps(message)], list(descriptors))
            return Exec(int(_answer(connection)["pid"]), connection)
        except BaseException:
            connection.close()
            raise

    def close_stdin(self, name: str) -> None:
        self._ask(do="close_stdin", name=name)

    def resize(self, name: str, rows: int, columns: int) -> None:
        self._ask(do="resize", name=name, rows=rows, columns=columns)

    def forget(self, name: str) -> None:
        self._ask(do="forget", name=name)

    def watch(self, seen: Callable[[dict[str, dict[str, Any]]], None]) -> None:
        """Call `seen` with every container that the keeper knows, now and after each change; returns never.

        Raises CellProblem when the keeper goes away.
        """
        with self._connect() as connection:
            connection.send(marshal.dumps({"do": "watch"}))
            while True:
                seen(_answer(connection)["containers"])

    def _ask(self, **message: Any) -> dict[str, Any]:
        with self._connect() as connection:
            connection.send(marshal.dumps(message))
            return _answer(connection)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(self.path)
        except OSError as error:
            connection.close()
            raise CellProblem(f"the keeper at {self.path} is away: {os.strerror(error.errno or 0)}") from error
        return connection


def _answer(connection: socket.socket) -> dict[str, Any]:
    try:
        data = connection.recv(MESSAGE)
    except TimeoutError:
        raise
    except OSError as error:
        raise CellProblem(f"the keeper went away: {error.strerror}") from error
    if not data:
        raise CellProblem("the keeper went away")
    answer: dict[str, Any] = marshal.loads(data)
    if "error" in answer:
        raise CellProblem(str(answer["error"]))
    return answer
