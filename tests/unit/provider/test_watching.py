"""A followed list outlives every end of a watch, and misses nothing; against a small server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from kip_conformance.infra.provider.kube_client import KubeClient
from kip_conformance.infra.provider.watching import Followed


def item(name: str, version: int) -> dict:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


class Server:
    """Answers lists in turn, and each watch with what is put for it; `asked` are the targets in order."""

    def __init__(self, lists: list[dict], watches: list[list[dict]]) -> None:
        self.lists, self.watches, self.asked = lists, watches, []
        self.handlers: list[tuple[asyncio.Task, asyncio.StreamWriter]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.handlers.append((asyncio.current_task(), writer))
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ")[1].decode()
                self.asked.append(target)
                if "watch=1" not in target:
                    body = json.dumps(self.lists.pop(0)).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                    await writer.drain()
                    continue
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                if not self.watches:
                    await writer.drain()
                    await asyncio.sleep(3600)
                for event in self.watches.pop(0):
                    line = json.dumps(event).encode() + b"\n"
                    half = len(line) // 2  # a line need not come in one piece
                    for piece in (line[:half], line[half:]):
                        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                        await writer.drain()
                writer.write(b"0\r\n\r\n")
                await writer.drain()


@contextlib.asynccontextmanager
async def following(server: Server, folder) -> AsyncIterator[tuple[Followed, list[tuple[str, str]]]]:
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    config = folder / "kubeconfig"
    config.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    seen: list[tuple[str, str]] = []
    followed = Followed(
        KubeClient(config),
        "/api/v1/pods",
        "fieldSelector=a",
        lambda one: seen.append(("changed", one["metadata"]["name"])),
        lambda one: seen.append(("gone", one["metadata"]["name"])),
    )
    task = asyncio.create_task(followed.run())
    try:
        yield followed, seen
    finally:
        task.cancel()
        await asyncio.wait([task])
        followed.client.close()
        listening.close()
        for handler, writer in server.handlers:
            handler.cancel()
            writer.transport.abort()
        await asyncio.wait([handler for handler, _ in server.handlers])
        await asyncio.sleep(0)


async def until(server: Server, asked: int) -> None:
    async with asyncio.timeout(10):
        while len(server.asked) < asked:
            await asyncio.sleep(0.005)


def listed(version: int, *items: dict) -> dict:
    return {"metadata": {"resourceVersion": str(version)}, "items": list(items)}


def test_a_watch_that_ends_goes_on_from_where_it_was(tmp_path):
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    events = [{"type": "MODIFIED", "object": item("a", 6)}, {"type": "ADDED", "object": item("b", 7)}, bookmark]
    server = Server([listed(5, item("a", 4))], [events])

    async def run() -> list[tuple[str, str]]:
        async with following(server, tmp_path) as (followed, seen):
            await until(server, 3)
            assert set(followed.objects) == {"uid-a", "uid-b"}
            return seen

    assert asyncio.run(run()) == [("changed", "a"), ("changed", "a"), ("changed", "b")]
    assert "resourceVersion=5" in server.asked[1]
    assert "resourceVersion=9" in server.asked[2]


def test_an_expired_watch_begins_with_a_new_list_and_tells_what_is_gone(tmp_path):
    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
    again = listed(20, item("b", 7), item("c", 15))
    server = Server([listed(5, item("a", 4), item("b", 7)), again], [[expired]])

    async def run() -> list[tuple[str, str]]:
        async with following(server, tmp_path) as (_, seen):
            await until(server, 4)
            return seen

    assert asyncio.run(run()) == [("changed", "a"), ("changed", "b"), ("gone", "a"), ("changed", "c")]
    assert "resourceVersion=20" in server.asked[3]


def test_what_is_deleted_is_told_once(tmp_path):
    server = Server([listed(5, item("a", 4))], [[{"type": "DELETED", "object": item("a", 6)}]])

    async def run() -> list[tuple[str, str]]:
        async with following(server, tmp_path) as (followed, seen):
            await until(server, 3)
            assert followed.objects == {}
            return seen

    assert asyncio.run(run()) == [("changed", "a"), ("gone", "a")]
