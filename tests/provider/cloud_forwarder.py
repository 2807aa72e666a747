"""Offers the cloud's API, which listens at the host's loopback, on the loopback of one machine of the lab.

`cloud_forwarder NETNS PORT API_PORT`: the socket is bound in the machine's network namespace, and every connection
goes out where this was started.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from kip_conformance.infra.lab import kernel, namespaces


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def serve(listener: socket.socket, port: int) -> None:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    await (await asyncio.start_server(accepted, sock=listener)).serve_forever()


def main(netns: str, port: str, api_port: str) -> None:
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(namespaces.NETNS_FOLDER / netns, os.O_RDONLY)
    kernel.setns(there, kernel.CLONE_NEWNET)
    listener = socket.create_server(("127.0.0.1", int(port)))
    kernel.setns(here, kernel.CLONE_NEWNET)
    asyncio.run(serve(listener, int(api_port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
