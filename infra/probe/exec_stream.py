"""A Channel over a pod's exec endpoint: the websocket itself, subprotocol v5.channel.k8s.io or, from older servers, v4.

Each message is one byte of channel number and a piece of data: 0 stdin, 1 stdout, 2 stderr, 3 the final Status (which
carries the exit code), 4 resize (never written: there is no terminal), and in v5 255 to close another channel.
Source: Kubernetes' remotecommand websocket protocols (k8s.io/apimachinery, util/remotecommand/constants.go).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.probe.channel import ChannelLost, LineBuffer
from kip_conformance.infra.probe.kubeconfig import ApiAccess
from kip_conformance.infra.probe.pod_socket import connect_to_pod, named
from kip_conformance.infra.targets.protocol import Completed, PodRef
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

__all__ = ["ExecStream", "run_in_pod"]

_STDIN, _STDOUT, _STDERR, _STATUS = b"\0", 1, 2, 3
_CLOSE_STDIN = b"\xff\0"
_V5, _V4 = Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")
_FRAME = 16 * 1024  # bytes; servers and proxies break single frames of many megabytes
_SEND_LIMIT = 10.0  # seconds; a blocked write also blocks pings, so it is bounded as a whole
_STDERR_KEPT = 16 * 1024


class ExecStream:
    """One process in a pod's container, over one websocket. The reader always runs, whoever reads or not."""

    def __init__(self, socket: ClientConnection, pod: PodRef) -> None:
        self._socket, self._pod = socket, pod
        self._stdout: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._stderr = bytearray()
        self._status: dict[str, Any] | None = None
        self._how_closed = ""
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls, access: ApiAccess, pod: PodRef, argv: Sequence[str], *, stdin: bool = True, timeout: float = 15.0
    ) -> ExecStream:
        """Start `argv` in the pod's container; without words, attach to the process that runs there already.

        Raises ChannelLost with the server's own words when it will not.
        """
        verb = "exec" if argv else "attach"
        query = [("command", word) for word in argv]
        query += [("container", pod.container), ("stdin", str(stdin).lower()), ("stdout", "true"), ("stderr", "true")]
        socket = await connect_to_pod(access, pod, verb, query, [_V5, _V4], timeout=timeout)
        return cls(socket, pod)

    @property
    def exit_code(self) -> int | None:
        """The process's exit code, once the stream has ended and the server told it."""
        if self._status is None:
            return None
        if self._status.get("status") == "Success":
            return 0
        causes = (self._status.get("details") or {}).get("causes") or []
        for cause in causes:
            if cause.get("reason") == "ExitCode":
                return int(cause["message"])
        return None

    @property
    def stderr(self) -> bytes:
        return bytes(self._stderr)

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                data = message.encode() if isinstance(message, str) else message
                if len(data) < 2:
                    continue
                if data[0] == _STDOUT:
                    self._stdout.put_nowait(data[1:])
                elif data[0] == _STDERR:
                    self._stderr += data[1:]
                    del self._stderr[:-_STDERR_KEPT]
                elif data[0] == _STATUS:
                    with contextlib.suppress(ValueError):
                        self._status = json.loads(data[1:])
            self._how_closed = "closed in order"
        except ConnectionClosed as error:
            self._how_closed = f"cut off ({error})"
        except Exception as error:
            self._how_closed = f"broken ({error!r})"
        finally:
            self._stdout.put_nowait(None)

    async def send(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(_SEND_LIMIT):
                for start in range(0, len(data), _FRAME):
                    await self._socket.send(_STDIN + data[start : start + _FRAME])
        except TimeoutError:
            raise ChannelLost(f"exec stream of {named(self._pod)} took no input for {_SEND_LIMIT:g} s") from None
        except ConnectionClosed as error:
            # The reader knows more: the status arrives before the close.
            await asyncio.wait([self._reader], timeout=1)
            raise ChannelLost(self.epitaph()) from error

    async def close_stdin(self) -> None:
        """Half-close. Only v5 can; on v4 nothing happens."""
        if self._socket.subprotocol == _V5:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(_CLOSE_STDIN)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Pieces of stdout as they come, until the stream ends in whatever way."""
        while (piece := await self._stdout.get()) is not None:
            yield piece

    async def lines(self) -> AsyncIterator[bytes]:
        buffer = LineBuffer()
        async for piece in self.chunks():
            for line in buffer.feed(piece):
                yield line
        raise ChannelLost(self.epitaph())

    def epitaph(self) -> str:
        """All that is known about the end of this stream, in one line."""
        words = f"exec stream of {named(self._pod)} ended: {self._how_closed or 'still open'}"
        code = self.exit_code
        if code is not None:
            words += f", exit code {code}"
            if code == 137:
                words += f" (killed: the channel, its container or pod {self._pod.uid}; see its restart count)"
        elif self._status is not None:
            words += f", {self._status.get('message', self._status)}"
        if self._stderr:
            words += f", stderr {bytes(self._stderr).decode('utf-8', 'replace').strip()[-300:]!r}"
        return words

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2):
                await self._socket.close()
        self._reader.cancel()
        await asyncio.wait([self._reader], timeout=1)


async def run_in_pod(
    access: ApiAccess, pod: PodRef, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0
) -> Completed:
    """Run a command in a pod to its end. Raises HarnessError when it cannot be started, followed or ended in time.

    A non-zero exit code is a result, not an error. With input on a v4 server the command must not wait for its end.
    """
    stream: ExecStream | None = None
    output = bytearray()
    try:
        async with asyncio.timeout(timeout):
            stream = await ExecStream.open(access, pod, argv, stdin=bool(stdin), timeout=timeout)
            if stdin:
                await stream.send(stdin)
                await stream.close_stdin()
            async for piece in stream.chunks():
                output += piece
    except TimeoutError:
        raise HarnessError(f"{' '.join(argv)} in {named(pod)} did not end within {timeout:g} s") from None
    except ChannelLost as error:
        raise HarnessError(str(error)) from error
    finally:
        if stream is not None:
            await stream.close()
    if stream.exit_code is None:
        raise HarnessError(f"{' '.join(argv)}: {stream.epitaph()}")
    return Completed(tuple(argv), stream.exit_code, bytes(output), stream.stderr)
