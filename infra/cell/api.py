"""What the agent answers to the provider: the paths below /v1."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

from kip_conformance.infra.cell.channel import V4, V5, Channel
from kip_conformance.infra.cell.clock import seconds_of
from kip_conformance.infra.cell.http import ChunkedBody, Request, send_json
from kip_conformance.infra.cell.logs import LogOptions
from kip_conformance.infra.cell.problems import Refused
from kip_conformance.infra.cell.runtime import log_path

if TYPE_CHECKING:
    from kip_conformance.infra.cell.agent import Agent
    from kip_conformance.infra.cell.container_life import ContainerLife
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
            case "PUT", ("v1", "policy"):
                self.agent.police(request.json())
                send_json(connection, 202, {})
            case "GET", ("v1", "status"):
                self._status(request, connection)
            case "POST", ("v1", "stop"):
                self._stop(request, connection)
            case "GET", ("v1", "logs", name):
                self._logs(name, request, connection)
            case "GET", ("v1", ("exec" | "attach") as what, name):
                self._session(what, name, request, connection, before)
                return False
            case "GET", ("v1", "portforward"):
                self._forward(request, connection, before)
                return False
            case _, ("v1", ("ping" | "pod" | "policy" | "status" | "stop"), *_):
                raise Refused(405, f"{request.method} /{'/'.join(request.path)} is nothing that is done here")
            case _, ("v1", ("logs" | "exec" | "attach" | "portforward"), *_):
                raise Refused(405, f"{request.method} /{'/'.join(request.path)} is nothing that is done here")
            case _:
                raise Refused(404, f"/{'/'.join(request.path)}: there is no such path")
        return True

    def _pod(self) -> Pod:
        if self.agent.pod is None:
            raise Refused(404, "this cell has no pod yet")
        return self.agent.pod

    def _life(self, name: str) -> ContainerLife:
        pod = self._pod()
        if name not in pod.lives:
            raise Refused(404, f"container {name}: the pod has {', '.join(pod.lives)}")
        return pod.lives[name]

    def _logs(self, name: str, request: Request, connection: ssl.SSLSocket) -> None:
        from kip_conformance.infra.cell.logs import read_log

        life, options = self._life(name), _log_options(request)
        attempt = _attempt(life, is_previous=request.flag("previous"))
        body = ChunkedBody(connection)

        def is_over() -> bool:
            return life.state.attempt != attempt or life.state.kind != "running"

        connection.settimeout(_LONGEST_WAIT)
        read_log(log_path(name, attempt), options, body.write, is_over)
        body.end()

    def _session(self, what: str, name: str, request: Request, connection: ssl.SSLSocket, before: bytearray) -> None:
        from kip_conformance.infra.cell.sessions import attach, execute

        life = self._life(name)
        if life.state.kind != "running":
            raise Refused(400, f"container {name} does not run: {_why(life)}")
        if what == "exec" and not request.query.get("command"):
            raise Refused(400, "command: what is to be run?")
        channel = Channel(request, connection, before, (V5, V4))
        (execute if what == "exec" else attach)(channel, life, request)

    def _forward(self, request: Request, connection: ssl.SSLSocket, before: bytearray) -> None:
        from kip_conformance.infra.cell.port_forward import PROTOCOLS, forward, ports_of

        pod, ports = self._pod(), ports_of(request)
        channel = Channel(request, connection, before, PROTOCOLS)
        forward(channel, ports, is_on_host_network=pod.sandbox.is_on_host_network)

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


def _log_options(request: Request) -> LogOptions:
    """Raises Refused for an option that cannot be used."""
    since: float | None = None
    if request.text("sinceTime"):
        try:
            since = seconds_of(request.text("sinceTime"))
        except ValueError as error:
            raise Refused(400, f"sinceTime={request.text('sinceTime')}: an RFC 3339 time is needed") from error
    seconds = request.number("sinceSeconds")
    if seconds is not None:
        since = time.time() - seconds
    return LogOptions(
        follow=request.flag("follow"),
        tail=request.number("tailLines"),
        since=since,
        timestamps=request.flag("timestamps"),
        limit=request.number("limitBytes"),
    )


def _attempt(life: ContainerLife, *, is_previous: bool) -> int:
    """The run whose log is asked for. Raises Refused with kubelet's words when there is none."""
    metadata = life.pod.facts.pod["metadata"]
    has_run = bool(life.state.last) or life.state.kind != "waiting"
    if not is_previous:
        if not has_run:
            where = f'container "{life.name}" in pod "{metadata.get("name")}"'
            raise Refused(400, f"{where} is waiting to start: {_why(life)}")
        return life.state.attempt
    # While it waits to be started again the run before is the last one, too.
    attempt = life.state.attempt if life.state.kind == "waiting" and life.state.last else life.state.attempt - 1
    if attempt < 0 or not has_run:
        raise Refused(400, f'previous terminated container "{life.name}" in pod "{metadata.get("name")}" not found')
    return attempt


def _why(life: ContainerLife) -> str:
    found = life.state.state[life.state.kind]
    return str(found.get("reason") or life.state.kind)
