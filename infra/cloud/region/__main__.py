"""`python -m kip_conformance.infra.cloud.region --api SOCKET …`: the region's services, on their machine.

TLS at port 443 of each, and plain HTTP at port 80 of S3. It ends with its machine.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import socket
import ssl
import sys
from functools import partial
from pathlib import Path

from kip_conformance.infra.cloud.region import relay
from kip_conformance.infra.cloud.region.front import ADDRESSES, Front
from kip_conformance.infra.cloud.region.registry import Backing, Registry


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kip_conformance.infra.cloud.region", description=__doc__)
    parser.add_argument("--api", required=True, metavar="SOCKET", help="where the API answers for machines")
    parser.add_argument("--region", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--certificate", required=True, help="PEM; its key is the file beside it that ends in .key")
    parser.add_argument("--registry", default="", metavar="PROGRAM", help="docker-registry; without it there is no ECR")
    parser.add_argument("--images", type=Path, required=True, help="the registry's folder")
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    registry = Registry(given.api, given.region, given.account, Backing(given.registry, given.images))
    try:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(given.certificate, str(Path(given.certificate).with_suffix(".key")))
        asyncio.run(_run(Front(given.api, registry), tls))
    except OSError as error:
        print(f"region's services: {error.filename or ''} {error.strerror}", file=sys.stderr)
        return 10
    return 0


async def _run(front: Front, tls: ssl.SSLContext) -> None:
    for service, address in ADDRESSES.items():
        take = partial(relay.serve, front.of(service))
        await asyncio.start_server(take, sock=_listening(address, 443), ssl=tls, limit=relay.HEAD_LIMIT)
        if service == "s3":
            await asyncio.start_server(take, sock=_listening(address, 80), limit=relay.HEAD_LIMIT)
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()


def _listening(address: str, port: int) -> socket.socket:
    return socket.create_server((address, port), backlog=256)


if __name__ == "__main__":
    sys.exit(main())
