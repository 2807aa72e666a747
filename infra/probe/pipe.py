"""A Channel over a process that a Machine holds: its pipes, driven by the event loop. No thread, no subprocess here."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

from kip_conformance.infra.probe.channel import ChannelLost, LineBuffer
from kip_conformance.infra.targets.protocol import HeldProcess

__all__ = ["PipeChannel"]

_SEND_LIMIT = 10.0  # seconds a write may block before the process counts as gone
_PIECE = 1 << 18  # bytes read at once


class PipeChannel:
    """Lines over a held process's stdin and stdout. Must be made inside a running event loop."""

    def __init__(self, process: HeldProcess) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._buffer = LineBuffer()
        self._is_open = True
        for fd in (process.stdin, process.stdout):
            os.set_blocking(fd, False)
        self._loop.add_reader(process.stdout, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._process.stdout, _PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._process.stdout)
            self._lines.put_nowait(None)
            return
        for line in self._buffer.feed(data):
            self._lines.put_nowait(line)

    async def send(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            async with asyncio.timeout(_SEND_LIMIT):
                while view and self._is_open:
                    try:
                        view = view[os.write(self._process.stdin, view) :]
                    except BlockingIOError:
                        await self._writable()
        except TimeoutError:
            raise ChannelLost(f"the held process read nothing for {_SEND_LIMIT:g} s") from None
        except OSError as error:
            raise ChannelLost(f"the held process is gone ({error.strerror})") from error
        if not self._is_open:
            raise ChannelLost("the channel was closed")

    async def _writable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_writer(self._process.stdin, lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
        finally:
            self._loop.remove_writer(self._process.stdin)

    async def lines(self) -> AsyncIterator[bytes]:
        while (line := await self._lines.get()) is not None:
            yield line
        rest = self._buffer.rest.decode("utf-8", "replace")[:200]
        raise ChannelLost("the held process ended" + (f" after writing {rest!r}" if rest else ""))

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._process.stdout)
        self._loop.remove_writer(self._process.stdin)
        self._lines.put_nowait(None)
        with contextlib.suppress(Exception):  # close() of a process that is gone already has nothing to tell us
            await asyncio.to_thread(self._process.close)
