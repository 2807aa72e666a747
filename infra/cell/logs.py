"""A container's log, read with the options of kubelet's `containerLogs` (Kubernetes API reference, PodLogOptions)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Entry", "LogFile", "LogOptions", "read_log"]

_BLOCK = 64 << 10
_SHORT, _LONG = 0.01, 0.2
"""Seconds between two looks at a file that is followed: the longer nothing came, the longer."""


class Entry(NamedTuple):
    """One line of the file. `stamp` is its time as written; `is_whole` is false for what a later entry goes on with."""

    stamp: bytes
    stream: bytes
    is_whole: bool
    text: bytes


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`since` is seconds since 1970, `limit` bytes; None is no limit."""

    follow: bool = False
    tail: int | None = None
    since: float | None = None
    timestamps: bool = False
    limit: int | None = None


class LogFile:
    """Reads on where it stopped. A log that was put aside is read to its end first."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = -1
        self._rest = b""

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def start(self, tail: int | None) -> None:
        """Begin with the last `tail` lines, or with all there is, what was put aside included."""
        aside = f"{self.path}.1"
        if tail is None:
            if not self._open(aside):
                self._open(self.path)
            return
        if not self._open(self.path):
            return
        offset, found = _offset_of_tail(self._file, tail)
        if found < tail and self._open(aside):
            offset, _ = _offset_of_tail(self._file, tail - found)
        os.lseek(self._file, offset, os.SEEK_SET)

    def at_end(self) -> None:
        """Begin with what comes from now on."""
        if self._open(self.path):
            os.lseek(self._file, 0, os.SEEK_END)

    def _open(self, path: str) -> bool:
        try:
            opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self.close()
        self._file, self._rest = opened, b""
        return True

    def new(self) -> Iterator[Entry]:
        """What has come since the last time."""
        if self._file < 0 and not self._open(self.path):
            return
        while True:
            part = os.read(self._file, _BLOCK)
            if not part:
                if self._has_moved() and self._open(self.path):
                    continue
                return
            *lines, self._rest = (self._rest + part).split(b"\n")
            for line in lines:
                entry = _entry(line)
                if entry is not None:
                    yield entry

    def _has_moved(self) -> bool:
        with contextlib.suppress(OSError):
            return os.fstat(self._file).st_ino != os.stat(self.path).st_ino
        return False


def _entry(line: bytes) -> Entry | None:
    parts = line.split(b" ", 3)
    return Entry(parts[0], parts[1], parts[2] == b"F", parts[3]) if len(parts) == 4 else None


def _offset_of_tail(file: int, tail: int) -> tuple[int, int]:
    """Where the last `tail` lines begin, and how many there are. Pieces of one line count once."""
    position = os.lseek(file, 0, os.SEEK_END)
    if tail == 0:
        return position, 0
    held, found, begin = b"", 0, position
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        held = os.pread(file, size, position) + held
        # All lines in `held` but the first, whose beginning may be in the block before.
        first = 0 if position == 0 else held.find(b"\n") + 1
        if position and not first:
            continue
        # What follows the last line's end is being written just now, and is read later.
        lines = held[first : held.rfind(b"\n") + 1].split(b"\n")[:-1]
        offset = position + held.rfind(b"\n") + 1
        for line in reversed(lines):
            offset -= len(line) + 1
            entry = _entry(line)
            if entry is None:
                continue
            if entry.is_whole or found == 0:
                if found == tail:
                    return begin, found
                found += 1
            begin = offset
        held = held[:first]
    return begin, found


def read_log(path: str, options: LogOptions, write: Callable[[bytes], None], is_over: Callable[[], bool]) -> None:
    """Hand the log to `write` piece by piece. Following ends once `is_over` and all was read, or `write` raises."""
    file = LogFile(path)
    left = options.limit
    begun: set[bytes] = set()
    pause = _SHORT
    try:
        file.start(options.tail)
        while True:
            was_over = is_over()
            said = bytearray()
            for entry in file.new():
                if options.since is not None and _is_before(entry.stamp, options.since):
                    continue
                is_new = entry.stream not in begun
                (begun.discard if entry.is_whole else begun.add)(entry.stream)
                piece = (entry.stamp + b" " if options.timestamps and is_new else b"") + entry.text
                said += piece + (b"\n" if entry.is_whole else b"")
                if len(said) > _BLOCK or (left is not None and len(said) >= left):
                    left = _hand_on(said, left, write)
                    if left == 0:
                        return
            left = _hand_on(said, left, write)
            if left == 0 or not options.follow or was_over:
                return
            pause = _SHORT if said else min(pause * 1.5, _LONG)
            time.sleep(pause)
    finally:
        file.close()


def _hand_on(said: bytearray, left: int | None, write: Callable[[bytes], None]) -> int | None:
    """Write what is allowed and empty the buffer; returns how many bytes are left to write."""
    piece = bytes(said if left is None else said[:left])
    said.clear()
    if piece:
        write(piece)
    return None if left is None else left - len(piece)


def _is_before(stamp: bytes, since: float) -> bool:
    from kip_conformance.infra.cell.clock import seconds_of

    try:
        return seconds_of(stamp.decode("ascii")) < since
    except ValueError:
        return False
