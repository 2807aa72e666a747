"""A web server inside the network that has the agent of cells, and remembers who fetched it."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import HeldProcess, Machine

__all__ = ["AgentOffer", "AgentServer", "agent_server"]

_STARTS_WITHIN = 30.0

# It fetches the agent as a cell would, and says on its standard output who asked for what.
_SERVE = """
import http.server, sys, urllib.request
url, name, address, further = sys.argv[1:]
with urllib.request.urlopen(url, timeout=20) as answer:
    content = answer.read() + further.encode()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path == "/" + name
        print("asked by", self.client_address[0], flush=True)
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(content) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(content)
    def log_message(self, *_):
        pass
with http.server.ThreadingHTTPServer((address, 0), Handler) as server:
    print("listening", server.server_address[1], flush=True)
    server.serve_forever()
"""


@dataclass(frozen=True, slots=True)
class AgentOffer:
    """The agent is `url`/itzo-`version` with this sha256, as provider.yaml names them."""

    url: str
    version: str
    sha256: str


@dataclass(slots=True)
class AgentServer:
    """`url` is where it answers."""

    url: str
    _held: HeldProcess
    _said: bytearray = field(default_factory=bytearray)

    def clients(self) -> frozenset[str]:
        """The addresses that have asked it for anything so far."""
        while select.select([self._held.stdout], [], [], 0)[0] and (part := os.read(self._held.stdout, 65536)):
            self._said += part
        whole = self._said.decode(errors="replace").rpartition("\n")[0]
        return frozenset(line.split()[-1] for line in whole.splitlines() if line.startswith("asked by "))


@contextmanager
def agent_server(
    machine: Machine, offer: AgentOffer, *, altered: bool = False, version: str = ""
) -> Iterator[AgentServer]:
    """Serve the agent at a free port of the machine's first address, `altered` by one byte more, or as another version.

    Raises HarnessError when the machine cannot fetch it itself.
    """
    source, name = f"{offer.url.rstrip('/')}/itzo-{offer.version}", f"itzo-{version or offer.version}"
    argv = ["/usr/bin/python3", "-I", "-c", _SERVE, source, name, machine.addresses[0], "\n" if altered else ""]
    held = machine.open(argv)
    try:
        port = _port(held)
        if not port:
            raise HarnessError(f"{machine.name}: no web server with the agent from {offer.url}")
        yield AgentServer(f"http://{machine.addresses[0]}:{port}", held)
    finally:
        held.close()


def _port(held: HeldProcess) -> str:
    """What its first line says; nothing when it ended, or said nothing in time."""
    said = b""
    while not said.endswith(b"\n"):
        if not select.select([held.stdout], [], [], _STARTS_WITHIN)[0]:
            return ""
        part = os.read(held.stdout, 1)
        if not part:
            return ""
        said += part
    return said.decode().split()[-1]
