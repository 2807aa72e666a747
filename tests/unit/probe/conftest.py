"""Real probers as local processes: each on its own loopback address and ports, with its own unix socket."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from kip_conformance.infra.probe import prober
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.targets.protocol import Place

PROBER = [sys.executable, "-I", "-S", str(Path(prober.__file__).resolve())]


def free_port() -> int:
    """A port that is free on TCP and on UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("0.0.0.0", 0))
            with contextlib.suppress(OSError):
                udp.bind(("0.0.0.0", tcp.getsockname()[1]))
                return int(tcp.getsockname()[1])


class Held:
    """A HeldProcess over subprocess; tests may kill it."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin.fileno(), self.process.stdout.fileno()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


class LocalMachine:
    """A Machine that is this machine. `refuse` makes `open` fail, `argv` replaces what is started."""

    def __init__(self) -> None:
        self.name, self.addresses = "here", ("127.0.0.1",)
        self.held: list[Held] = []
        self.argv: Callable[[Sequence[str]], Sequence[str]] = lambda argv: argv

    def open(self, argv: Sequence[str]) -> Held:
        self.held.append(Held(self.argv(argv)))
        return self.held[-1]

    def close(self) -> None:
        for held in self.held:
            held.close()


class Resident:
    """One `prober.py serve` process and the place it makes."""

    def __init__(
        self,
        name: str,
        number: int,
        folder: Path,
        *,
        ports: Sequence[int] = (),
        extra: Sequence[str] = (),
        script: Path | None = None,
    ) -> None:
        ports = tuple(ports) or (free_port(), free_port())
        self.place = Place(
            name=name,
            kind="host",
            machine="here",
            address=f"127.0.0.{10 + number}",
            sources=(f"127.0.0.{10 + number}", "127.0.0.1"),
            ports=ports,
            socket=str(folder / f"{name}.sock"),
        )
        argv = [*PROBER[:-1], str(script or PROBER[-1]), "serve", "--name", name, "--socket", self.place.socket, *extra]
        for port in ports:
            argv += ["--port", str(port)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


class Wire:
    """A channel spoken to by hand."""

    def __init__(self, path: str, *extra: str) -> None:
        self.process = subprocess.Popen(
            [*PROBER, "channel", "--socket", path, *extra],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.hello = self.read()

    def send(self, *lines: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(line + b"\n" for line in lines))
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {}

    def ask(self, **message: Any) -> dict[str, Any]:
        self.send(json.dumps({"id": 1, **message}).encode())
        return self.read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()


@pytest.fixture(scope="session")
def village(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Resident]]:
    """Three probers that tests may use and must not harm."""
    folder = tmp_path_factory.mktemp("village")
    residents = [Resident(name, number, folder) for number, name in enumerate(("ada", "bob", "cyd"))]
    yield residents
    for resident in residents:
        resident.kill()


@pytest.fixture
def resident(tmp_path: Path) -> Iterator[Callable[..., Resident]]:
    """Makes probers that a test may kill."""
    made: list[Resident] = []

    def make(name: str, **options: Any) -> Resident:
        made.append(Resident(name, 40 + len(made), tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.process.pid, signal.SIGCONT)
        one.kill()


@pytest.fixture
def wire() -> Iterator[Callable[..., Wire]]:
    made: list[Wire] = []

    def make(path: str, *extra: str) -> Wire:
        made.append(Wire(path, *extra))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def machine() -> Iterator[LocalMachine]:
    local = LocalMachine()
    yield local
    local.close()


@pytest.fixture(scope="session")
def driver(village: list[Resident], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A driver over the village, for tests that do not care about its channels."""
    machine = LocalMachine()
    places = [one.place for one in village]
    with Driver(places, {"here": machine}, tmp_path_factory.mktemp("driver") / "none", host_prober=PROBER) as made:  # type: ignore[dict-item]
        yield made
    machine.close()


@pytest.fixture
def driver_of(machine: LocalMachine, tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    """Makes drivers over residents."""
    made: list[Driver] = []

    def make(*residents: Resident, **options: Any) -> Driver:
        places = [one.place for one in residents]
        made.append(Driver(places, {"here": machine}, tmp_path / "none", host_prober=PROBER, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def mute() -> Iterator[tuple[str, int]]:
    """An address and port where TCP connects and UDP arrives, and nobody ever answers."""
    port = free_port()
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.9", port))
        udp.bind(("127.0.0.9", port))
        tcp.listen(512)
        yield "127.0.0.9", port


class _Relay(threading.Thread):
    """Passes UDP datagrams or TCP connections on to the next of several backends; optionally swallows the answers."""

    def __init__(self, backends: Sequence[tuple[str, int]], protocol: str, *, answers: bool) -> None:
        super().__init__(daemon=True)
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        self.backends, self.answers = itertools.cycle(backends), answers
        self.listener = socket.socket(socket.AF_INET, kind)
        self.listener.bind(("127.0.0.7", 0))
        self.address = self.listener.getsockname()
        if kind == socket.SOCK_STREAM:
            self.listener.listen(512)
        self.run = self._tcp if protocol == "tcp" else self._udp  # type: ignore[method-assign]
        self.start()

    def _udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, client = self.listener.recvfrom(65535)
                if not data:
                    return
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as onward:
                    onward.settimeout(1)
                    onward.sendto(data, next(self.backends))
                    answer = onward.recv(65535)
                    if self.answers:
                        self.listener.sendto(answer, client)

    def _tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client, next(self.backends)), daemon=True).start()

    def _serve(self, client: socket.socket, backend: tuple[str, int]) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(backend, timeout=1) as onward:
            onward.sendall(client.recv(65535))
            client.sendall(onward.recv(65535))

    def close(self) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, self.listener.type) as last:
            if self.listener.type == socket.SOCK_DGRAM:
                last.sendto(b"", self.address)
            else:
                self.listener.shutdown(socket.SHUT_RDWR)
        self.join(2)
        self.listener.close()


@pytest.fixture
def balancer() -> Iterator[Callable[..., tuple[str, int]]]:
    """Makes addresses behind which several backends take turns."""
    made: list[_Relay] = []

    def make(backends: Sequence[tuple[str, int]], protocol: str, *, answers: bool = True) -> tuple[str, int]:
        made.append(_Relay(backends, protocol, answers=answers))
        return made[-1].address

    yield make
    for one in made:
        one.close()


@pytest.fixture
def forwarder(balancer: Callable[..., tuple[str, int]]) -> Callable[[str, int], tuple[str, int]]:
    """Makes UDP addresses from which requests reach a backend and no answer comes back."""
    return lambda host, port: balancer([(host, port)], "udp", answers=False)


class NameServer(threading.Thread):
    """A DNS server of a few canned answers on 127.0.0.1, UDP and TCP: `answers` maps (name, type) to a reply's body.

    The body is (rcode, flags, records); records are (name, type, ttl, data) with data already encoded.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.port = free_port()
        self.answers: dict[tuple[str, str], tuple[int, list[tuple[str, int, int, bytes]]]] = {}
        self.too_large_for_udp: set[str] = set()
        self.asked: list[tuple[str, str, str, int]] = []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind(("127.0.0.1", self.port))
        self.tcp.listen(16)
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while True:
                for ready in select.select([self.udp, self.tcp], [], [])[0]:
                    if ready is self.udp:
                        query, client = self.udp.recvfrom(4096)
                        if not query:
                            return
                        reply = self.reply(query, "udp")
                        if reply:
                            self.udp.sendto(reply, client)
                    else:
                        with self.tcp.accept()[0] as connection:
                            reply = self.reply(connection.recv(4096)[2:], "tcp")
                            connection.sendall(struct.pack("!H", len(reply)) + reply)

    def reply(self, query: bytes, protocol: str) -> bytes:
        name, after = prober.decode_name(query, 12)
        kind = prober.TYPE_NAMES[struct.unpack_from("!H", query, after)[0]]
        edns = struct.unpack_from("!H", query, after + 7)[0] if struct.unpack_from("!H", query, 10)[0] else 0
        self.asked.append((name, kind, protocol, edns))
        rcode, records = self.answers.get((name, kind), (3, []))
        if rcode < 0:
            return b""
        flags = 0x8180 | rcode
        if protocol == "udp" and name in self.too_large_for_udp and edns < 4096:
            flags, records = flags | 0x0200, []
        body = query[12 : after + 4]
        for owner, number, ttl, data in records:
            encoded = b"\xc0\x0c" if owner == name else prober.encode_name(owner)
            body += encoded + struct.pack("!HHIH", number, 1, ttl, len(data)) + data
        return query[:2] + struct.pack("!5H", flags, 1, len(records), 0, 0) + body

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self.join(2)
        self.udp.close()
        self.tcp.close()


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()
