"""Offers the API server to the operator on 127.0.0.1 without touching the host's routes.

Run beside the supervisor: it takes over a listening socket that was bound in the host's network namespace (stdin),
enters the control plane's namespace, and from then on every connection it opens starts there. Bytes are only pumped.
Standard library only.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from kip_conformance.infra.lab import kernel, namespaces

__all__ = ["main", "serve"]


class _Side(asyncio.Protocol):
    """One side of a forwarded connection; writes go to the other, with back-pressure and half-close."""

    def __init__(self) -> None:
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self.has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.has_ended = True
        if self.other is not None and self.other.transport is not None and self.transport is not None:
            self.other.transport.write_eof()
            if self.other.has_ended:
                # Nobody else would: kept open for what the other way might still bring.
                self.transport.close()
                self.other.transport.close()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()


class _Accepted(_Side):
    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__()
        self.address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self.connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        assert self.transport is not None
        try:
            _, there = await asyncio.get_running_loop().create_connection(_Side, *self.address)
        except OSError:
            self.transport.abort()
            return
        self.other, there.other = there, self
        if self.transport.is_closing():
            assert there.transport is not None
            there.transport.close()
        else:
            self.transport.resume_reading()


async def serve(listener: socket.socket, address: tuple[str, int]) -> None:
    """Pump every connection to the address, from the network namespace that this thread is in; until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Accepted(address), sock=listener)
    await server.serve_forever()


def main(arguments: list[str]) -> int:
    """`forwarder NETNS ADDRESS PORT`, with the listening socket as stdin."""
    netns, address, port = arguments
    listener = socket.socket(fileno=os.dup(0))
    listener.setblocking(False)
    there = os.open(namespaces.NETNS_FOLDER / netns, os.O_RDONLY)
    kernel.setns(there, kernel.CLONE_NEWNET)
    asyncio.run(serve(listener, (address, int(port))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
