"""What probes and lifecycle hooks do: an exec in the container, a GET, a connection, a gRPC call, a pause."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.cell.grpc_health import ask_grpc
from kip_conformance.infra.cell.probes import ask_http, ask_tcp, port_of
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.runtime import Runtime

__all__ = ["EXECS", "Handlers", "run_inside"]

EXECS = itertools.count(1)
"""Every exec of this agent has a number of its own."""
_OUTPUT = 10 << 10
"""Bytes of a program's output that are kept."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """Of one run of a container; `host` is where it is asked over the network."""

    runtime: Runtime
    run_name: str
    container: Mapping[str, Any]
    host: str

    def ask(self, what: Mapping[str, Any], timeout: float) -> tuple[bool, str]:
        """Do one handler; returns whether it went well, and what was seen when not."""
        try:
            return self._ask(what, timeout)
        except TimeoutError:
            return False, f"command timed out: no end within {timeout:g} s"
        except CellProblem as problem:
            return False, str(problem)

    def _ask(self, what: Mapping[str, Any], timeout: float) -> tuple[bool, str]:
        if "exec" in what:
            code, said = run_inside(self.runtime, self.run_name, list(what["exec"].get("command") or ()), timeout)
            return code == 0, said if code != 0 else ""
        if "httpGet" in what:
            port = port_of(what["httpGet"]["port"], self.container)
            return ask_http(self.host, what["httpGet"], port, timeout)
        if "tcpSocket" in what:
            found = what["tcpSocket"]
            return ask_tcp(str(found.get("host") or self.host), port_of(found["port"], self.container), timeout)
        if "grpc" in what:
            return ask_grpc(self.host, what["grpc"], timeout)
        if "sleep" in what:
            time.sleep(min(timeout, float(what["sleep"]["seconds"])))
            return True, ""
        raise CellProblem(f"{', '.join(what)}: no handler that a cell knows")


def run_inside(runtime: Runtime, run_name: str, argv: list[str], timeout: float) -> tuple[int, str]:
    """Run a program in the container; returns its exit code and its output. Raises TimeoutError and CellProblem."""
    deadline = time.monotonic() + timeout
    read, write = os.pipe2(os.O_CLOEXEC)
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    said = bytearray()
    try:
        started = runtime.exec(run_name, argv, (nothing, write, write), number=next(EXECS))
        os.close(write)
        write = -1
        with contextlib.closing(started):
            while True:
                left = deadline - time.monotonic()
                ready: list[Any] = select.select([read, started.fileno()], [], [], max(left, 0))[0]
                if not ready:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(started.pid, 9)
                    raise TimeoutError
                if read in ready and len(said) < _OUTPUT and (part := os.read(read, 4096)):
                    said += part
                elif started.fileno() in ready:
                    return started.wait(0.1), said.decode(errors="replace").strip()
                else:  # what it left running may hold the pipe, or it has closed it and goes on
                    select.select([started], [], [], max(left, 0))
    finally:
        for descriptor in (read, write, nothing):
            if descriptor >= 0:
                os.close(descriptor)
