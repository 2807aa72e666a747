"""A lab's machine as the Machine protocol has it: everything through the supervisor, no pid and no namespace path."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.control import Control, Held
from kip_conformance.infra.targets.protocol import Completed

__all__ = ["LabMachine"]

_CAPTURE_LIMIT = 16 << 20


@dataclass(slots=True)
class LabMachine:
    """One machine of a lab, or with `netns` a piece of its network; see Machine in infra/targets/protocol.py.

    `known_as` is what the supervisor calls it, where that is another name.
    """

    name: str
    addresses: tuple[str, ...]
    control: Control
    netns: str | None = None
    known_as: str = ""

    @property
    def _machine(self) -> str | None:
        return None if self.netns else self.known_as or self.name

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        return self.control.run(argv, machine=self._machine, netns=self.netns, stdin=stdin, timeout=timeout)

    def open(self, argv: Sequence[str]) -> Held:
        return self.control.open(argv, machine=self._machine, netns=self.netns)

    def read(self, path: str) -> bytes:
        done = self.run(["cat", "--", path])
        if done.returncode != 0:
            raise HarnessError(f"{self.name}: {path} cannot be read: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    @contextlib.contextmanager
    def capture(self, expression: str, *, interface: str = "any") -> Iterator[_Capture]:
        read, write = os.pipe()
        try:
            held = self.control.open(
                [
                    *("tcpdump", "-i", interface, "-n", "-U", "--immediate-mode"),
                    # The kernel's buffer holds whole slots of the snapshot length, and in immediate mode one packet
                    # each: at tcpdump's own sizes it is eight packets, and a busy machine loses the ninth.
                    *("-s", "4096", "-B", "16384"),
                    *("-w", "-", "-c", "100000", expression),
                ],
                machine=self._machine,
                netns=self.netns,
                stderr=write,
            )
        finally:
            os.close(write)
        capture = _Capture(held)
        try:
            _wait_listening(read, self.name)
            yield capture
        finally:
            os.close(read)
            capture.stop()

    def http_get(self, port: int, path: str, *, timeout: float = 3.0) -> str:
        """The body of http://127.0.0.1:PORT/PATH as seen on the machine. Raises HarnessError when there is none."""
        script = 'exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "GET %s HTTP/1.0\\r\\n\\r\\n" "$1" >&3 && cat <&3'
        done = self.run(["bash", "-c", script, str(port), path], timeout=timeout)
        head, separator, body = done.stdout.decode(errors="replace").partition("\r\n\r\n")
        if done.returncode != 0 or not separator or " 200 " not in head.splitlines()[0]:
            raise HarnessError(f"{self.name}: nothing answers http://127.0.0.1:{port}{path}")
        return body


class _Capture:
    """A running tcpdump whose bytes are read until it is stopped."""

    def __init__(self, held: Held) -> None:
        import threading

        self._held: Held | None = held
        self._bytes = bytearray()
        self._reader = threading.Thread(target=self._read, args=(held.stdout,), daemon=True)
        self._reader.start()

    def _read(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):
            while part := os.read(descriptor, 65536):
                if len(self._bytes) < _CAPTURE_LIMIT:
                    self._bytes += part

    def so_far(self) -> bytes:
        return bytes(self._bytes)

    def stop(self) -> bytes:
        """End the capture; returns the pcap bytes. Calling it again returns the same."""
        if self._held is not None:
            held, self._held = self._held, None
            held.connection.close()  # kills tcpdump; its pipe then ends and the reader with it
            self._reader.join(timeout=5)
            held.close()
        return bytes(self._bytes)


def _wait_listening(descriptor: int, machine: str, *, within: float = 5.0) -> None:
    """tcpdump says "listening on" once packets are being captured: what is sent before that would be missed."""
    import selectors

    said, deadline = b"", time.monotonic() + within
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while b"listening on" not in said:
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise HarnessError(f"{machine}: the capture did not start within {within:g} s: {said.decode()}")
            part = os.read(descriptor, 4096)
            if not part:
                raise HarnessError(f"{machine}: the capture ended at once: {said.decode(errors='replace').strip()}")
            said += part
