"""The agent's port: TLS with a certificate required of every client, a thread for each connection."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable

from kip_conformance.infra.cell.http import Request, read_request, send_json
from kip_conformance.infra.cell.paths import RUN
from kip_conformance.infra.cell.problems import CellProblem, Refused
from kip_conformance.infra.cell.settings import CellSettings

__all__ = ["PORT", "Handler", "Server", "tls_context"]

PORT = 6421
_HANDSHAKE, _IDLE, _GOODBYE = 10.0, 300.0, 1.0
"""Seconds."""
_CONNECTIONS = 128
"""At once; each is a thread. More wait in the kernel's queue."""

Handler = Callable[[Request, ssl.SSLSocket, bytearray], bool]
"""Answers one request; True when the connection may be used for the next. Raises Refused and OSError."""


def tls_context(settings: CellSettings) -> ssl.SSLContext:
    """TLS 1.2 and newer; a client needs a certificate that `ca` signed for clients. Raises CellProblem."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    # Nobody resumes a session. Tickets come after the handshake, and a client that reads and writes in two threads may
    # meet one in the middle of its request: Python before 3.13 then waits for ever (races in its ssl module).
    context.num_tickets = 0
    # OpenSSL reads a chain from files only.
    files = [(f"{RUN}/tls.crt", settings.certificate), (f"{RUN}/tls.key", settings.key)]
    try:
        for path, text in files:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
                file.write(text)
        context.load_verify_locations(cadata=settings.ca)
        context.load_cert_chain(*(path for path, _ in files))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise CellProblem(f"cell settings: ca, certificate or key cannot be used: {error}") from error
    finally:
        for path, _ in files:
            with contextlib.suppress(OSError):
                os.unlink(path)
    return context


class Server:
    """Listens on all addresses: which of them reach it is for the security group and the datapath's rules to say."""

    def __init__(self, context: ssl.SSLContext, handler: Handler, port: int = PORT) -> None:
        self.context = context
        self.handler = handler
        self.listener = socket.create_server(("0.0.0.0", port), backlog=128)
        self._free = threading.BoundedSemaphore(_CONNECTIONS)

    def serve(self) -> None:
        """For ever. Raises OSError when the listener is closed."""
        while True:
            self._free.acquire()
            try:
                connection, _ = self.listener.accept()
            except ConnectionError:
                self._free.release()
                continue
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, plain: socket.socket) -> None:
        try:
            plain.settimeout(_HANDSHAKE)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            with contextlib.suppress(OSError), self.context.wrap_socket(plain, server_side=True) as connection:
                self._answer_all(connection)
        finally:
            plain.close()
            self._free.release()

    def _answer_all(self, connection: ssl.SSLSocket) -> None:
        before = bytearray()
        stays = True
        while stays:
            connection.settimeout(_IDLE)
            request = None
            try:
                request = read_request(connection, before)
                if request is None:
                    break
                stays = self.handler(request, connection, before)
                stays = stays and request.headers.get("connection", "").lower() != "close"
            except Refused as refusal:
                send_json(connection, refusal.status, {"error": str(refusal)})
                # What could not be read as a request has no known end.
                stays = request is not None
            except CellProblem as problem:
                send_json(connection, 503, {"error": str(problem)})
        with contextlib.suppress(OSError, ValueError):
            connection.settimeout(_GOODBYE)
            connection.unwrap()
