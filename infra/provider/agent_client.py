"""The agent of one cell, as the provider speaks to it: HTTPS with certificates on both sides, port 6421."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.provider.http import Answer, HttpClient, NoAnswer

__all__ = ["AGENT_PORT", "AgentClient", "AgentRefusal"]

AGENT_PORT = 6421
_LONG = 30.0
"""Seconds for what an agent may have to think about; a status that is waited for has its wait on top."""


class AgentRefusal(KipError):
    """The agent answered with an error; `status` is the HTTP code: 400 cannot, 404 unknown, 409 another pod's."""

    def __init__(self, what: str, status: int, message: str) -> None:
        super().__init__(f"{what}: {status}: {message}")
        self.status, self.message = status, message


@dataclass(slots=True)
class AgentClient:
    """`address` is dialled; `name` is the cell's management address, which the agent's certificate is for.

    Every method raises AgentRefusal for an error answer, and NoAnswer for none.
    """

    address: str
    name: str
    tls: ssl.SSLContext
    port: int = AGENT_PORT
    http: HttpClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = HttpClient(self.address, self.port, self.tls, self.name)

    async def ping(self) -> dict[str, Any]:
        return await self._json("GET", "/v1/ping", timeout=5.0)

    async def deploy(self, body: Mapping[str, Any]) -> None:
        """Start the pod, or make it as it is now: the same body again changes nothing."""
        await self._json("PUT", "/v1/pod", body, timeout=_LONG)

    async def police(self, policy: Mapping[str, Any]) -> None:
        """What new flows of the pod are judged by from now on: as `policy` in the body of a deploy."""
        await self._json("PUT", "/v1/policy", policy, timeout=10.0)

    async def status(self, after: int, wait: float) -> dict[str, Any]:
        """The pod's status once it is newer than version `after`, or after `wait` seconds."""
        query = urlencode({"after": after, "wait": f"{wait:g}"})
        return await self._json("GET", f"/v1/status?{query}", timeout=wait + 10.0)

    async def stop(self, grace: float) -> None:
        """Begin the end of the pod: `grace` seconds until its processes are killed."""
        await self._json("POST", "/v1/stop", {"grace": int(grace)}, timeout=10.0)

    async def log_tail(self, container: str, size: int) -> bytes:
        """The last bytes of a container's log, at most about `size`."""
        answer = await self.http.request("GET", f"/v1/logs/{container}?tailLines=2000", timeout=_LONG)
        if answer.status >= 400:
            raise _refusal("logs", answer)
        return answer.body[-size:]

    def close(self) -> None:
        self.http.close()

    async def _json(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout: float
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data is not None else {}
        answer = await self.http.request(method, path, data, headers=headers, timeout=timeout)
        if answer.status >= 400:
            raise _refusal(f"{method} {path.partition('?')[0]}", answer)
        try:
            said = json.loads(answer.body or b"{}")
        except ValueError as error:
            raise NoAnswer(f"{self.address}: the agent's answer to {path} is no JSON") from error
        return said if isinstance(said, dict) else {}


def _refusal(what: str, answer: Answer) -> AgentRefusal:
    try:
        message = str(json.loads(answer.body)["error"])
    except (ValueError, KeyError, TypeError):
        message = answer.body.decode(errors="replace")[:200]
    return AgentRefusal(what, answer.status, message)
