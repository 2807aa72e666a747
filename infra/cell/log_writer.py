"""What a container writes, as the lines of its log: `TIME STREAM F|P TEXT`, the form of kubelet's "CRI" logs.

A line that has not ended yet is written at once, marked P, so that who follows sees a prompt; its rest is a line of
its own, and readers put the two together.
"""

from __future__ import annotations

import contextlib
import os
import time

__all__ = ["LIMIT", "LogWriter", "stamp"]

LIMIT = 10 << 20
"""Bytes after which a log is put aside as NAME.1, of which there is one; kubelet's containerLogMaxSize."""


def stamp(nanoseconds: int) -> str:
    """RFC 3339 with nine digits, UTC."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


class LogWriter:
    """Appends to `path`. A disk that is full loses lines and never holds up the container."""

    def __init__(self, path: str, limit: int = LIMIT) -> None:
        self.path = path
        self.limit = limit
        self.streams = 0
        self._open()

    def end_stream(self) -> None:
        """One of the streams that are written here has ended; the last closes the file."""
        self.streams -= 1
        if self.streams <= 0:
            os.close(self._file)

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size

    def write(self, stream: str, part: bytes) -> None:
        head = f"{stamp(time.time_ns())} {stream} ".encode()
        *lines, rest = part.split(b"\n")
        said = b"".join(head + b"F " + line + b"\n" for line in lines)
        if rest:
            said += head + b"P " + rest + b"\n"
        with contextlib.suppress(OSError):
            self._size += os.write(self._file, said)
            if self._size > self.limit:
                os.replace(self.path, f"{self.path}.1")
                os.close(self._file)
                self._open()
