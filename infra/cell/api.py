"""What the agent answers to the provider: the paths below /v1."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from kip_conformance.infra.cell.http import Request, send_json
from kip_conformance.infra.cell.problems import Refused

if TYPE_CHECKING:
    from kip_conformance.infra.cell.agent import Agent
    from kip_conformance.infra.cell.pod import Pod

__all__ = ["Api"]

_LONGEST_WAIT = 300
"""Seconds."""


class Api:
    """Errors are JSON with one line: {"error": line}."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def answer(self, request: Request, connection: ssl.SSLSocket, before: bytearray) -> bool:
        """See Handler in server.py."""
        match request.method, request.path:
            case "GET", ("v1", "ping"):
                send_json(connection, 200, {"version": self.agent.version, "started": self.agent.started})
            case "PUT", ("v1", "pod"):
                self.agent.put(request.json())
                send_json(connection, 202, {})
            case "GET", ("v1", "status"):
                self._status(request, connection)
            case "POST", ("v1", "stop"):
                self._stop(request, connection)
            case _, ("v1", ("ping" | "pod" | "status" | "stop" | "logs" | "exec" | "attach" | "portforward"), *_):
                raise Refused(405, f"{request.method} /{'/'.join(request.path)} is nothing that is done here")
            case _:
                raise Refused(404, f"/{'/'.join(request.path)}: there is no such path")
        return True

    def _pod(self) -> Pod:
        if self.agent.pod is None:
            raise Refused(404, "this cell has no pod yet")
        return self.agent.pod

    def _status(self, request: Request, connection: ssl.SSLSocket) -> None:
        pod = self.agent.pod
        if pod is None:
            send_json(connection, 200, {"version": 0, "uid": "", "status": {}, "events": []})
            return
        after = request.number("after", 0) or 0
        wait = request.number("wait", 0) or 0
        pod.wait_newer(after, min(wait, _LONGEST_WAIT))
        send_json(connection, 200, pod.told())

    def _stop(self, request: Request, connection: ssl.SSLSocket) -> None:
        pod, grace = self._pod(), request.json().get("grace", 30)
        if not isinstance(grace, int | float) or isinstance(grace, bool) or grace < 0:
            raise Refused(400, f"grace: {grace!r} is no number of seconds")
        pod.stop(float(grace))
        send_json(connection, 202, {})
