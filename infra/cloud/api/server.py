"""The server process: a listening socket, moto, threads, and an orderly end."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from kip_conformance.infra.cloud.api.realizer import Realizer, Reports
from kip_conformance.infra.cloud.api.settings import Settings
from kip_conformance.infra.errors import EnvironmentFault

__all__ = ["listen", "serve"]


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises EnvironmentFault when the port is taken or the address is not here."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise EnvironmentFault(
                f"port {port} on {host} is in use by another program: give another one, or 0 for a free one"
            ) from error
        raise EnvironmentFault(f"cannot listen at {host} port {port}: {error.strerror}") from error
    return listener


def serve(
    listener: socket.socket,
    settings: Settings,
    machines: Callable[[Reports], Realizer],
    for_machines: Path | None = None,
) -> None:
    """Answer requests until SIGTERM or SIGINT. Prints one line when the first request can be answered.

    `machines` makes what makes instances run. Requests that arrive earlier wait: the socket listens already.
    `for_machines` is a unix socket to make, where the API is as machines of the cloud see it. Raises EnvironmentFault
    when the folder cannot be used or another server has it, UsageError for settings that cannot be.
    """
    gc.disable()
    settings.check()
    folder = _own(settings.folder)
    from kip_conformance.infra.cloud.api.assembly import assembled

    application, store = assembled(settings, machines)
    # After moto has been told what to know.
    from kip_conformance.infra.cloud.api.for_machines import ForMachines
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    class OverTcp(Handler):
        # Else an answer's headers and body wait for each other's acknowledgement.
        disable_nagle_algorithm = True

    host, port = listener.getsockname()[:2]
    server = make_server(host, port, application, threaded=True, request_handler=OverTcp, fd=listener.fileno())

    if for_machines is not None:
        for_machines.unlink(missing_ok=True)
        inner = make_server(
            f"unix://{for_machines}", 0, ForMachines(application), threaded=True, request_handler=Handler
        )
        for_machines.chmod(0o600)
        threading.Thread(target=inner.serve_forever, daemon=True).start()

    def end(_signal: int, _frame: FrameType | None) -> None:
        # shutdown() waits for the loop that this very thread runs.
        threading.Thread(target=server.shutdown, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    print(f"cloud API of {settings.region} at http://{host}:{port}", flush=True)
    # What is there now stays: looking through it for garbage again and again is half the cost of a call.
    gc.freeze()
    gc.enable()
    server.serve_forever(poll_interval=0.2)
    # A call that is under way ends, its answer may be lost; none begins.
    store.lock.acquire()
    os.close(folder)


def _own(folder: Path) -> int:
    """Make the folder and hold it: two servers would each overwrite what the other has answered. A descriptor."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise EnvironmentFault(f"the folder {folder} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        raise EnvironmentFault(f"another server has the folder {folder}: end it, or give another folder") from error
    return held
