"""Port forwarding as kubectl speaks it: two SPDY streams for each connection, one for its data, one for its errors.

Each pair becomes a websocket to the agent, which connects inside the pod's network namespace. Source: the kubelet's
portforward.k8s.io; streams have the headers streamType, port and requestID.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from kip_conformance.infra.provider.agent_client import AgentClient
from kip_conformance.infra.provider.http import NoAnswer
from kip_conformance.infra.provider.kubelet_port.agent_channels import AgentChannels, open_channels
from kip_conformance.infra.provider.kubelet_port.byte_ways import ByteWay
from kip_conformance.infra.provider.kubelet_port.spdy_connection import SpdyConnection, SpdyStream, StreamGone

__all__ = ["PROTOCOLS", "forward_ports"]

PROTOCOLS = ("portforward.k8s.io",)
_DATA, _ERROR = 0, 1
"""The agent's channels of the first port."""
_PAIRING = 30.0
"""Seconds between the two streams of a pair: a kubelet's own."""


async def forward_ports(way: ByteWay, agent: AgentClient) -> None:
    """Returns when the client has gone; its connections into the pod are ended then."""
    forwarding = _Forwarding(agent)
    try:
        await SpdyConnection(way, forwarding.accept).serve()
    finally:
        for task in forwarding.tasks:
            task.cancel()
        if forwarding.tasks:
            await asyncio.wait(forwarding.tasks)
        await way.end()


@dataclass(slots=True)
class _Pair:
    streams: dict[str, SpdyStream] = field(default_factory=dict)
    is_whole: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Forwarding:
    agent: AgentClient
    pairs: dict[str, _Pair] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, stream: SpdyStream) -> bool:
        kind, port = stream.headers.get("streamtype", ""), stream.headers.get("port", "")
        if kind not in ("data", "error") or not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
            return False
        # A client that gives no id opens the error stream and then the data stream: their numbers are neighbours.
        name = stream.headers.get("requestid") or str(stream.number - (2 if kind == "data" else 0))
        pair = self.pairs.get(name)
        if pair is None:
            pair = self.pairs[name] = _Pair()
            task = asyncio.ensure_future(self._forward(name, pair, int(port)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        if kind in pair.streams:
            return False
        pair.streams[kind] = stream
        if len(pair.streams) == 2:
            pair.is_whole.set()
        return True

    async def _forward(self, name: str, pair: _Pair, port: int) -> None:
        try:
            async with asyncio.timeout(_PAIRING):
                await pair.is_whole.wait()
            await _connect(self.agent, port, pair.streams["data"], pair.streams["error"])
        except TimeoutError:
            await _tell(pair, f"the streams of request {name} did not come within {_PAIRING:g} s")
        except NoAnswer as error:
            await _tell(pair, f"error forwarding port {port} to pod: {error}")
        finally:
            del self.pairs[name]
            for stream in pair.streams.values():
                await stream.end()


async def _tell(pair: _Pair, message: str) -> None:
    if (stream := pair.streams.get("error")) is not None:
        with contextlib.suppress(StreamGone):
            await stream.write(message.encode())


async def _connect(agent: AgentClient, port: int, data: SpdyStream, error: SpdyStream) -> None:
    """One connection, until the pod has ended it or the client has gone. Raises NoAnswer."""
    async with open_channels(agent, f"/v1/portforward?ports={port}") as there:
        outward = asyncio.ensure_future(_to_pod(data, there))
        inward = asyncio.ensure_future(_from_pod(there, data, error))
        try:
            # A client that has written all it has may still wait for an answer; a pod that has ended is the end.
            await asyncio.wait({outward, inward}, return_when=asyncio.FIRST_COMPLETED)
            if outward.done() and outward.result():
                await asyncio.wait({inward})
            if inward.done():
                inward.result()
        finally:
            for task in (outward, inward):
                task.cancel()
            await asyncio.wait({outward, inward})


async def _to_pod(data: SpdyStream, there: AgentChannels) -> bool:
    """Whether the client still listens, now that it says no more."""
    with contextlib.suppress(NoAnswer):
        try:
            while piece := await data.read():
                await there.send(_DATA, piece)
            await there.end(_DATA)
        except StreamGone:
            return False
    return True


async def _from_pod(there: AgentChannels, data: SpdyStream, error: SpdyStream) -> None:
    """Raises NoAnswer when the agent breaks off."""
    streams, begun = {_DATA: data, _ERROR: error}, set[int]()
    with contextlib.suppress(StreamGone):
        async for channel, piece in there.messages():
            if channel not in streams:
                continue
            if channel in begun:
                await streams[channel].write(piece)
            begun.add(channel)  # the first message of each is the port's number
