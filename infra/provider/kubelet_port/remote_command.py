"""exec and attach as clients of SPDY speak them: a stream each for stdin, stdout, stderr, the outcome and sizes.

They become channels of one websocket to the agent. Source: the kubelet's v4.channel.k8s.io over SPDY, which API servers
before 1.36 translate kubectl's websocket to; streams have the header streamType.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from kip_conformance.infra.provider.agent_client import AgentClient
from kip_conformance.infra.provider.http import NoAnswer
from kip_conformance.infra.provider.kubelet_port.agent_channels import AgentChannels, open_channels
from kip_conformance.infra.provider.kubelet_port.byte_ways import ByteWay
from kip_conformance.infra.provider.kubelet_port.passing import agent_target, wanted_streams
from kip_conformance.infra.provider.kubelet_port.requests import Request
from kip_conformance.infra.provider.kubelet_port.spdy_connection import SpdyConnection, SpdyStream, StreamGone

__all__ = ["PROTOCOLS", "run_command"]

PROTOCOLS = ("v4.channel.k8s.io",)
_CHANNELS = {"stdin": 0, "stdout": 1, "stderr": 2, "error": 3, "resize": 4}
_TO_CLIENT = ("stdout", "stderr", "error")
_OPENING, _CLOSING = 30.0, 5.0
"""Seconds until all streams are there (a kubelet's own), and for the client to take in the outcome."""


async def run_command(way: ByteWay, agent: AgentClient, request: Request) -> None:
    """Returns when the program has ended, or the client has gone."""
    wanted = wanted_streams(request)
    kinds = {"error", *(kind for kind in ("stdin", "stdout", "stderr") if wanted[kind])}
    command = _Command(frozenset(kinds | ({"resize"} if wanted["tty"] else set())))
    serving = asyncio.ensure_future(SpdyConnection(way, command.accept).serve())
    running = asyncio.ensure_future(command.run(agent, agent_target(request)))
    try:
        await asyncio.wait({serving, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
            # Closing with something unread would take away what the client has not read yet.
            await asyncio.wait({serving}, timeout=_CLOSING)
    finally:
        for task in (serving, running):
            task.cancel()
        await asyncio.wait({serving, running})
        await way.end()


@dataclass(slots=True)
class _Command:
    wanted: frozenset[str]
    streams: dict[str, SpdyStream] = field(default_factory=dict)
    are_there: asyncio.Event = field(default_factory=asyncio.Event)

    def accept(self, stream: SpdyStream) -> bool:
        kind = stream.headers.get("streamtype", "")
        if kind not in self.wanted or kind in self.streams:
            return False
        self.streams[kind] = stream
        if len(self.streams) == len(self.wanted):
            self.are_there.set()
        return True

    async def run(self, agent: AgentClient, target: str) -> None:
        try:
            async with asyncio.timeout(_OPENING):
                await self.are_there.wait()
            async with open_channels(agent, target) as there:
                await self._exchange(there)
        except TimeoutError:
            await self._fail(f"not all of {', '.join(sorted(self.wanted))} came within {_OPENING:g} s")
        except NoAnswer as error:
            await self._fail(str(error))
        except StreamGone:
            return
        for stream in self.streams.values():
            await stream.end()

    async def _exchange(self, there: AgentChannels) -> None:
        """Until the agent has told the outcome. Raises NoAnswer and StreamGone."""
        inputs = [asyncio.ensure_future(_send_stdin(self.streams["stdin"], there))] if "stdin" in self.streams else []
        if "resize" in self.streams:
            inputs.append(asyncio.ensure_future(_send_sizes(self.streams["resize"], there)))
        outputs = {_CHANNELS[kind]: self.streams[kind] for kind in _TO_CLIENT if kind in self.streams}
        try:
            async for channel, data in there.messages():
                if channel in outputs:
                    await outputs[channel].write(data)
        finally:
            for task in inputs:
                task.cancel()
            if inputs:
                await asyncio.wait(inputs)

    async def _fail(self, message: str) -> None:
        if (stream := self.streams.get("error")) is not None:
            status: Mapping[str, object] = {
                "metadata": {},
                "status": "Failure",
                "reason": "InternalError",
                "message": message,
                "details": {"causes": [{"message": message}]},
                "code": 500,
            }
            with contextlib.suppress(StreamGone):
                await stream.write(json.dumps(status).encode())


async def _send_stdin(stream: SpdyStream, there: AgentChannels) -> None:
    with contextlib.suppress(NoAnswer, StreamGone):
        while data := await stream.read():
            await there.send(_CHANNELS["stdin"], data)
        await there.end(_CHANNELS["stdin"])


async def _send_sizes(stream: SpdyStream, there: AgentChannels) -> None:
    """Sizes are JSON objects, a line each; the agent takes one a message."""
    held = b""
    with contextlib.suppress(NoAnswer, StreamGone):
        while data := await stream.read():
            *lines, held = (held + data).split(b"\n")
            for line in lines:
                if line.strip():
                    await there.send(_CHANNELS["resize"], line)
