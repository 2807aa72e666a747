"""A client of the agent's upgraded paths, on a WebSocket library that others keep."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from .client import AgentClient

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"


@dataclass
class Said:
    """What came on each channel until the other side closed, or `until` was so."""

    channels: dict[int, bytes] = field(default_factory=dict)
    close_code: int | None = None

    @property
    def out(self) -> str:
        return self.channels.get(1, b"").decode()

    @property
    def err(self) -> str:
        return self.channels.get(2, b"").decode()

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.channels[3])
        return found

    @property
    def exit_code(self) -> int:
        if self.status["status"] == "Success":
            return 0
        return int(self.status["details"]["causes"][0]["message"])


def open_stream(agent: AgentClient, path: str, *protocols: str, **query: Any) -> ClientConnection:
    uri = f"wss://{agent.name}:6421{path}?{urlencode(query, doseq=True)}"
    spoken = [Subprotocol(one) for one in protocols or (V5, V4)]
    return connect(
        uri,
        sock=agent_socket(agent),
        ssl=agent.context(),
        server_hostname=agent.name,
        subprotocols=spoken,
        compression=None,
        max_size=None,
    )


def agent_socket(agent: AgentClient) -> Any:
    import socket

    return socket.create_connection(("127.0.0.1", agent.port), timeout=30)


def collect(stream: ClientConnection, until: Any = None, seconds: float = 30.0) -> Said:
    said = Said()
    try:
        while until is None or not until(said):
            data = stream.recv(timeout=seconds)
            assert isinstance(data, bytes)
            said.channels[data[0]] = said.channels.get(data[0], b"") + data[1:]
    except ConnectionClosed as closed:
        said.close_code = closed.rcvd.code if closed.rcvd else None
    return said


def execute(agent: AgentClient, *command: str, container: str = "c0", stdin: bytes | None = None) -> Said:
    """Run to the end, over v5."""
    asked = {"command": list(command), "stdout": "true", "stderr": "true"}
    if stdin is not None:
        asked["stdin"] = "true"
    with open_stream(agent, f"/v1/exec/{container}", **asked) as stream:
        if stdin is not None:
            for start in range(0, len(stdin), 16384):
                stream.send(b"\0" + stdin[start : start + 16384])
            stream.send(b"\xff\0")
        return collect(stream)
