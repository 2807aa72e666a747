"""Attaching to a running container: a client that hears what its first process writes while it listens."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from kip_conformance.infra.probe.channel import ChannelLost
from kip_conformance.infra.probe.exec_stream import ExecStream, run_in_pod
from kip_conformance.infra.probe.kubeconfig import load_kubeconfig
from kip_conformance.infra.targets.protocol import Place, PodRef

__all__ = ["heard_by_attaching"]

_AGAIN = 0.5


def heard_by_attaching(kubeconfig: Path, place: Place, word: str, *, within: float) -> str:
    """Attach to the container of a place and have its first process's output say `word`, again and again.

    Returns what was heard once that holds the word, or after `within` seconds; or how the API refused. Raises
    HarnessError when the word cannot be said, because exec does not work.
    """
    assert place.pod is not None, f"place {place.name} is no pod"
    return asyncio.run(_hear(kubeconfig, place.pod, word, within))


async def _hear(kubeconfig: Path, pod: PodRef, word: str, within: float) -> str:
    access = load_kubeconfig(kubeconfig)
    try:
        stream = await ExecStream.open(access, pod, (), stdin=False, timeout=within)
    except ChannelLost as error:
        return str(error)
    heard = bytearray()

    async def listen() -> None:
        async for piece in stream.chunks():
            heard.extend(piece)
            if word.encode() in heard:
                return

    listening = asyncio.create_task(listen())
    # The server says that the stream is open before the container's runtime has joined it: what is said then is lost.
    say = [
        "/usr/bin/python3",
        "-I",
        "-S",
        "-c",
        "import sys; open('/proc/1/fd/1', 'w').write(sys.argv[1] + '\\n')",
        word,
    ]
    deadline = time.monotonic() + within
    try:
        while not listening.done() and time.monotonic() < deadline:
            await run_in_pod(access, pod, say)
            await asyncio.wait([listening], timeout=_AGAIN)
    finally:
        listening.cancel()
        await stream.close()
    return heard.decode(errors="replace") or stream.epitaph()
