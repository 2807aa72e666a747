"""`slow_way PORT SECONDS`: a way to 127.0.0.1:PORT whose answers come so much later. Prints its own port and serves."""

from __future__ import annotations

import asyncio
import contextlib
import sys

__all__ = ["main"]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Pass bytes on in order, each `delay` seconds after it came."""
    loop = asyncio.get_running_loop()
    late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, part = await late.get()
            await asyncio.sleep(due - loop.time())
            if not part:
                return
            writer.write(part)
            await writer.drain()

    with contextlib.suppress(OSError):
        delivery = asyncio.create_task(deliver())
        try:
            while part := await reader.read(65536):
                late.put_nowait((loop.time() + delay, part))
        finally:
            late.put_nowait((loop.time() + delay, b""))
            await delivery
    writer.close()


async def _serve(port: int, delay: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, there_writer, 0), _pump(there_reader, writer, delay))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(arguments: list[str]) -> int:
    asyncio.run(_serve(int(arguments[0]), float(arguments[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
