"""A websocket of our own to a cell's agent: what the agent calls channels, for what a client speaks otherwise.

The protocols are Kubernetes' v5 and v4.channel.k8s.io: a byte of channel number before each message; v5 can close one.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL

from kip_conformance.infra.provider.agent_client import AgentClient
from kip_conformance.infra.provider.http import NoAnswer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

__all__ = ["AgentChannels", "open_channels"]

_V5, _V4 = Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")
_CLOSES = 255
_OPENING, _CLOSING = 15.0, 2.0
"""Seconds; the agent itself waits ten for a connection to a port of the pod."""


@dataclass(frozen=True, slots=True)
class AgentChannels:
    """Methods raise NoAnswer when the agent has gone."""

    socket: ClientConnection

    async def messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """(channel, data) until the agent has closed. Without end when nobody reads: the agent waits then."""
        try:
            async for message in self.socket:
                data = message.encode() if isinstance(message, str) else message
                if data and data[0] != _CLOSES:
                    yield data[0], data[1:]
        except ConnectionClosed as error:
            raise NoAnswer(f"the cell's agent has gone: {error}") from error

    async def send(self, channel: int, data: bytes) -> None:
        try:
            await self.socket.send(bytes((channel,)) + data)
        except ConnectionClosed as error:
            raise NoAnswer(f"the cell's agent has gone: {error}") from error

    async def end(self, channel: int) -> None:
        """Nothing more comes on this channel; an agent that speaks v4 only cannot be told."""
        if self.socket.subprotocol == _V5:
            await self.send(_CLOSES, bytes((channel,)))


def _keep_alive(socket: ClientConnection) -> None:
    """A cell that has vanished is noticed within a minute."""
    plain = socket.transport.get_extra_info("socket")
    plain.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    for option, value in ((TCP_KEEPIDLE, 30), (TCP_KEEPINTVL, 10), (TCP_KEEPCNT, 3)):
        plain.setsockopt(IPPROTO_TCP, option, value)


@contextlib.asynccontextmanager
async def open_channels(agent: AgentClient, target: str) -> AsyncIterator[AgentChannels]:
    """`target` is path and query at the agent. Raises NoAnswer, in the agent's own words when it refuses."""
    try:
        socket = await connect(
            f"wss://{agent.name}:{agent.port}{target}",
            host=agent.address,
            port=agent.port,
            ssl=agent.tls,
            server_hostname=agent.name,
            subprotocols=[_V5, _V4],
            compression=None,
            max_size=None,
            open_timeout=_OPENING,
            close_timeout=_CLOSING,
            ping_interval=None,  # an agent whose pod reads nothing reads no ping either; TCP notices one that is gone
            proxy=None,
        )
        _keep_alive(socket)
    except InvalidStatus as error:
        said = bytes(error.response.body or b"").decode(errors="replace").strip()
        raise NoAnswer(f"the cell's agent answers {error.response.status_code} {said}") from error
    except (OSError, WebSocketException, TimeoutError) as error:
        raise NoAnswer(f"the cell's agent does not answer: {error or type(error).__name__}") from error
    try:
        yield AgentChannels(socket)
    finally:
        await socket.close()
