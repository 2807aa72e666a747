"""A websocket of the API server's client, passed through to the agent byte for byte.

The agent speaks the channel protocols itself (v4 and v5.channel.k8s.io): nothing in between understands them.
"""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import quote, urlencode

from kip_conformance.infra.provider.agent_client import AgentClient
from kip_conformance.infra.provider.kubelet_port.requests import Exchange, Request

__all__ = ["agent_target", "pass_through", "wanted_streams"]

# What the API server calls the streams of exec and attach towards a kubelet, and what the agent calls them.
_STREAMS = {"input": "stdin", "output": "stdout", "error": "stderr", "tty": "tty"}
_PASSED = "sec-websocket-"


def agent_target(request: Request) -> str:
    """Path and query at the agent of an exec, attach or portForward; the path has the container last, if any."""
    verb = request.words[0]
    if verb == "portForward":
        ports = [part for name in ("ports", "port") for value in request.all(name) for part in value.split(",")]
        return f"/v1/portforward?{urlencode([('ports', port) for port in ports])}"
    query = [("command", word) for word in request.all("command")] if verb == "exec" else []
    query += [(name, "true" if is_wanted else "false") for name, is_wanted in wanted_streams(request).items()]
    return f"/v1/{verb}/{quote(request.words[-1])}?{urlencode(query)}"


def wanted_streams(request: Request) -> dict[str, bool]:
    """Of an exec or attach: stdin, stdout, stderr and tty, and whether the client asked for each."""
    found = {ours: request.all(theirs) + request.all(ours) for theirs, ours in _STREAMS.items()}
    return {name: any(value in ("1", "true") for value in values) for name, values in found.items()}


async def pass_through(exchange: Exchange, agent: AgentClient) -> None:
    """Until one of both ends. Raises NoAnswer when the agent cannot be reached; nothing has been answered then."""
    there, back = await agent.http.open()
    exchange.can_go_on = False
    try:
        lines = [f"GET {agent_target(exchange.request)} HTTP/1.1", f"Host: {agent.name}:{agent.port}"]
        lines += ["Connection: Upgrade", "Upgrade: websocket"]
        passed = {name: value for name, value in exchange.request.headers.items() if name.startswith(_PASSED)}
        lines += [f"{name}: {value}" for name, value in passed.items()]
        back.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        ways = {
            asyncio.ensure_future(_pump(exchange.reader, back)),
            asyncio.ensure_future(_pump(there, exchange.writer)),
        }
        _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in left:
            way.cancel()
        await asyncio.wait(ways)
    finally:
        with contextlib.suppress(OSError):
            back.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, with back-pressure."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
