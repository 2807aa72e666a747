"""Terminals of containers: the socket on which runc hands one over, and its size (runc's document terminals)."""

from __future__ import annotations

import os
import socket

__all__ = ["receive_terminal", "resize", "terminal_listener"]

_TIOCSWINSZ = 0x5414
_PATIENCE = 10.0
"""Seconds."""


def terminal_listener(path: str) -> socket.socket:
    """A socket at `path`, which runc connects to. Raises OSError."""
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(1)
    listener.settimeout(_PATIENCE)
    return listener


def receive_terminal(listener: socket.socket) -> int:
    """The descriptor of the terminal that runc sends; the listener is closed. Raises OSError."""
    with listener:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(_PATIENCE)
            _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
    if not descriptors:
        raise OSError(0, "runc sent no terminal")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]


def resize(terminal: int, rows: int, columns: int) -> None:
    """Raises OSError for what is no terminal."""
    import fcntl

    size = (rows & 0xFFFF).to_bytes(2, "little") + (columns & 0xFFFF).to_bytes(2, "little") + bytes(4)
    fcntl.ioctl(terminal, _TIOCSWINSZ, size)
