"""A client of the agent, as small as a test needs: JSON requests, and what a request needs to become a stream."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

__all__ = ["AgentClient", "Answer"]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        found: str = self.json["error"]
        return found


@dataclass(frozen=True)
class AgentClient:
    """One cell's agent at a port of 127.0.0.1; `name` is the address that its certificate is for."""

    port: int
    name: str
    pki: Path
    identity: str = "provider"

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        if self.identity:
            context.load_cert_chain(self.pki / f"{self.identity}.crt", self.pki / f"{self.identity}.key")
        return context

    def connect(self, seconds: float = 30.0) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=seconds)
        return self.context().wrap_socket(plain, server_hostname=self.name)

    def ask(self, method: str, path: str, body: Any = None, seconds: float = 60.0) -> Answer:
        connection = http.client.HTTPConnection(self.name, 6421)
        connection.sock = self.connect(seconds)
        try:
            data = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, data)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Answer:
        shown = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        return self.ask("GET", f"{path}?{shown}" if shown else path)

    def put(self, pod: Mapping[str, Any], **others: Any) -> Answer:
        return self.ask("PUT", "/v1/pod", {"pod": pod, **others})

    def stop(self, grace: float) -> Answer:
        return self.ask("POST", "/v1/stop", {"grace": grace})

    def status(self, after: int = 0, wait: int = 0) -> dict[str, Any]:
        answer = self.get("/v1/status", after=after, wait=wait)
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.json
        return found
