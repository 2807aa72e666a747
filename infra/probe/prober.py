#!/usr/bin/python3
"""The resident prober: one process in each place that answers probes and sends them.

This file must run alone: standard library only, Python 3.11 or newer, Linux. It is the prober image's entry point and
is started by path on hosts. Nothing of the project is imported here, and the project imports only its constants.

    prober.py serve   --name NAME --socket PATH --port 8080 [--port 8081] [--address 0.0.0.0]
    prober.py channel --socket PATH

`serve` owns a TCP and a UDP listener on every port and a unix socket; it prints one line once all of them answer, and
stops at once on SIGTERM. `channel` is what an exec stream or a held process runs: it hands its stdin and stdout to the
resident process (SCM_RIGHTS) and then only waits, so no byte of the conversation passes through it.

The conversation is JSON lines. The resident's first line is the hello with PROTOCOL_VERSION; after that each request
{"id", "op", ...} draws exactly one reply {"id", ...}, in any order; one that cannot be done draws {"id", "failed"}. A
channel without input for HEARTBEAT_LIMIT seconds is dropped. End-of-file is not the end of a channel, because some
exec streams cannot half-close.

How a timeout is kept from being a false one:
  * One thread, one epoll loop, no fork and no thread pool, monotonic clock only: nothing can stall or jump.
  * At most IN_FLIGHT probes are new at a time; bursts of thousands overflow queues and are the commonest cause of a
    false timeout. A probe that stays silent for QUIET seconds no longer costs anything, so it gives up its slot; that
    is why a matrix in which everything is dropped still ends after one timeout and not after n / IN_FLIGHT of them.
  * A probe still unanswered at half its timeout is sent once more from a fresh socket. These second attempts are
    spread over the time that is left instead of being sent as another burst; the first socket stays open, and an
    answer on either counts. The number of the attempt that was answered is reported, so a lossy path is not hidden.
  * What has arrived is always read before a deadline is looked at.
  * Source ports are used in turn (SourcePorts), so that none meets what a network remembers of its last use.
  * The loop measures how late it runs (`lag` in the reply). When it lost more than a tenth of a probe's timeout, it
    was this process that was slow: the probe is sent again and given the lost time back, a bounded number of times.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import errno
import functools
import gc
import hashlib
import heapq
import json
import os
import re
import resource
import select
import signal
import socket
import struct
import sys
import time
import traceback
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any

PROTOCOL_VERSION = 1
HEARTBEAT_LIMIT = 10.0  # seconds without input after which a channel is dropped
IN_FLIGHT = 64  # probes that are new at one time
QUIET = 0.05  # seconds after which an unanswered probe gives up its slot
SEEN_LIMIT = 32768  # nonces that are remembered
IDLE_LIMIT = 600.0  # seconds after which a client that sends no complete request is dropped
LINE_LIMIT = 64 << 20  # bytes of one request line
TICK = 0.02  # seconds between two measurements of the loop's lateness
LATE = 0.03  # lateness in seconds from which time counts as lost; less is ordinary scheduling
LANES = 4  # probers that may share one network namespace without sharing source ports
EPHEMERAL = (32768, 60999)  # Linux's own range of source ports (Documentation/networking/ip-sysctl.rst)

# Exit codes of `channel`.
EXIT_GONE = 3  # the resident process cannot be reached, or died
EXIT_SILENT = 4  # the resident process is there and does not answer

# What the resident says to a waiting `channel` process. Without the last word, it died.
ALIVE, DROPPED = b".", b"x"

# Linux numbers that Python 3.11 has no names for (include/uapi/linux/in.h, errqueue.h).
IP_PKTINFO, IP_MTU_DISCOVER, IP_RECVERR, IP_MTU = 8, 10, 11, 14
IP_PMTUDISC_DONT, IP_PMTUDISC_DO, IP_PMTUDISC_PROBE = 0, 2, 3
SO_EE_ORIGIN_ICMP = 2
NO_LINGER = struct.pack("ii", 1, 0)

now = time.monotonic
IN, OUT, ERR, HUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR, select.EPOLLHUP

HEADER = re.compile(rb"kip1 ([\w.+-]{1,96}) (\d{8}) (\d{8})\n")
HEADER_LIMIT = 160
HTTP_LIMIT = 16384  # bytes of an HTTP request's head

_REFUSED = {errno.ECONNREFUSED}
_RESET = {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}
# EPERM and EACCES: a rule or route on this machine said no. EINVAL: a blackhole route. EMSGSIZE: larger than the path.
_UNREACHABLE = {
    errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.ENONET, errno.ENOPROTOOPT,
    errno.EPROTO, errno.EACCES, errno.EPERM, errno.EINVAL, errno.EMSGSIZE,
}  # fmt: skip


def classify(number: int, phase: str) -> tuple[str, str]:
    """(kind, detail) of a socket error; kind "error" is one that says nothing about the network."""
    name = errno.errorcode.get(number, str(number))
    if number in _REFUSED:
        return "refused", name
    if number in _RESET:
        return "reset", name
    if number == errno.ETIMEDOUT:
        return "timeout", name
    if number in _UNREACHABLE:
        return "unreachable", name
    return "error", f"{name} ({os.strerror(number)}) at {phase}"


# ---------------------------------------------------------------------------------------------------- the exchange


def pattern(nonce: str, size: int) -> bytes:
    """The payload that both ends expect under a nonce: never repeating, so a lost or doubled part shows."""
    return hashlib.shake_128(nonce.encode()).digest(size) if size else b""


def digest(payload: bytes) -> str:
    return hashlib.blake2b(payload, digest_size=8).hexdigest() if payload else ""


def request_bytes(nonce: str, size: int, reply_size: int) -> bytes:
    """A request of `size` bytes in all (at least its header) that asks for an answer of at least `reply_size` bytes."""
    header = 5 + len(nonce) + 1 + 8 + 1 + 8 + 1
    pad = max(0, size - header)
    return b"kip1 %s %08d %08d\n" % (nonce.encode(), pad, reply_size) + pattern(nonce, pad)


def judge_answer(  # noqa: PLR0911 - one return for each thing that can be wrong
    data: bytes, nonce: str, request: bytes, reply_size: int
) -> tuple[str, dict[str, Any]] | None:
    """("open" or "wrong_peer", facts) of an answer, or None while it is incomplete."""
    end = data.find(b"\n")
    if end < 0:
        return ("wrong_peer", {"detail": "a long answer in no known form"}) if len(data) > 4096 else None
    try:
        facts = json.loads(data[:end])
        name = facts["name"]
    except (ValueError, TypeError, KeyError):
        return "wrong_peer", {"detail": f"an answer in no known form: {data[:40]!r}"}
    if facts.get("nonce") != nonce:
        return "wrong_peer", {"detail": f"{name} answered another nonce"}
    missing = end + 1 + max(0, reply_size - end - 1) - len(data)
    if missing > 0:
        return None
    sent = request[request.find(b"\n") + 1 :]
    if facts.get("digest") != digest(sent):
        return "wrong_peer", {"name": name, "detail": f"the request arrived damaged ({facts.get('size')} bytes)"}
    if data[end + 1 :] != pattern(nonce + "r", max(0, reply_size - end - 1)):
        return "wrong_peer", {"name": name, "detail": f"the answer arrived damaged ({len(data)} bytes)"}
    return "open", facts


# -------------------------------------------------------------------------------------------------------- the loop


class Loop:
    """epoll, timers and the measurement of lateness. `lost` is the sum of seconds by which this process ran late."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.handlers: dict[int, Callable[[int], None]] = {}
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.sequence = 0
        self.lost = 0.0
        self.observers: set[Batch] = set()
        self.after_round: Callable[[], None] = lambda: None
        self.ticking = False
        self.fresh: set[int] = set()  # descriptors opened in this round: an event listed for that number is not theirs

    def watch(self, fd: int, mask: int, handler: Callable[[int], None]) -> None:
        self.fresh.add(fd)
        self.handlers[fd] = handler
        self.epoll.register(fd, mask)

    def rewatch(self, fd: int, mask: int) -> None:
        self.epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        if self.handlers.pop(fd, None) is not None:
            with contextlib.suppress(OSError):
                self.epoll.unregister(fd)

    def at(self, due: float, callback: Callable[[], None]) -> None:
        """Calls back once, at the monotonic time `due`. Nothing cancels it: callbacks see whether they still matter."""
        self.sequence += 1
        heapq.heappush(self.timers, (due, self.sequence, callback))

    def observe(self, batch: Batch) -> None:
        """Measure lateness for the length of a batch: a timer every TICK, so that there is something to be late for."""
        self.observers.add(batch)
        if not self.ticking:
            self.ticking = True
            self._tick()

    def _tick(self) -> None:
        if self.observers:
            self.at(now() + TICK, self._tick)
        else:
            self.ticking = False

    def late(self, seconds: float) -> None:
        if seconds > LATE:
            self.lost += seconds
        for batch in self.observers:
            batch.lag = max(batch.lag, seconds)

    def run(self) -> None:
        while True:
            try:
                self._rounds()
            except Exception:  # a defect in one handler must not silence the place: its batch never replies
                traceback.print_exc()

    def _rounds(self) -> None:
        epoll, handlers, timers, fresh = self.epoll, self.handlers, self.timers, self.fresh
        while True:
            timeout = max(0.0, timers[0][0] - now()) if timers else 3600.0
            events = epoll.poll(timeout)
            if timers and now() > timers[0][0]:
                self.late(now() - timers[0][0])
            for fd, mask in events:
                handler = handlers.get(fd)
                if handler is not None and fd not in fresh:
                    handler(mask)
            if timers:
                time_now = now()
                while timers and timers[0][0] <= time_now:
                    heapq.heappop(timers)[2]()
            self.after_round()
            fresh.clear()


@types.coroutine
def ready(fd: int, mask: int, deadline: float) -> Generator[tuple[int, int, float], bool, bool]:
    """Await readiness of a descriptor; False when the deadline comes first."""
    return (yield (fd, mask, deadline))


class Task:
    """Runs a coroutine made of `ready` awaits on the loop."""

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, bool, None]) -> None:
        self.loop, self.coroutine, self.turn = loop, coroutine, 0
        self._step(None)

    def _step(self, value: bool | None) -> None:
        try:
            fd, mask, deadline = self.coroutine.send(value)  # type: ignore[arg-type]
        except StopIteration:
            return
        self.turn += 1
        turn = self.turn

        def resume(outcome: bool) -> None:
            if self.turn == turn:
                self.turn += 1
                self.loop.forget(fd)
                self._step(outcome)

        self.loop.watch(fd, mask, lambda _mask: resume(True))
        self.loop.at(deadline, lambda: resume(False))


# ----------------------------------------------------------------------------------------------------- the listeners


class Seen:
    """The nonces that reached this place's listeners: a bounded ring, and a count of all."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.order: collections.deque[str] = collections.deque()
        self.count = 0

    def add(self, nonce: str, source: str) -> None:
        self.count += 1
        if nonce not in self.sources:
            self.order.append(nonce)
            if len(self.order) > SEEN_LIMIT:
                del self.sources[self.order.popleft()]
        self.sources[nonce] = source


class Listener:
    """One port on TCP or on UDP. Answers a complete request with who we are and what we saw."""

    def __init__(self, resident: Resident, proto: str, port: int) -> None:
        self.resident, self.loop, self.proto, self.port = resident, resident.loop, proto, port
        self.prefix = f'{{"name":{json.dumps(resident.name)},"instance":"{resident.instance}","source":"'
        self.family = socket.AF_INET6 if ":" in resident.address else socket.AF_INET
        kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
        self.socket = socket.socket(self.family, kind | socket.SOCK_NONBLOCK)
        try:
            self._configure()
        except OSError as error:
            self.socket.close()
            raise OSError(
                error.errno, f"cannot listen on {proto} {resident.address}:{port}: {error.strerror}"
            ) from None
        self.loop.watch(self.socket.fileno(), IN, self._accept if proto == "tcp" else self._datagrams)

    def _configure(self) -> None:
        if self.proto == "tcp":
            # Connections of an earlier prober may linger on the port. Never on UDP: two sockets would share it.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif self.family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        if self.proto == "udp":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            if self.family == socket.AF_INET:  # answers may be fragmented; what we learned of a path must not drop them
                self.socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        self.socket.bind((self.resident.address, self.port))
        if self.proto == "tcp":
            self.socket.listen(4096)

    def close(self) -> None:
        self.loop.forget(self.socket.fileno())
        self.socket.close()

    def answer(self, header: re.Match[bytes], source: str, port: int, received: str, intact: bool) -> bytes:
        """The line for a complete request, padded as the request asked."""
        nonce, pad, reply_size = header.group(1).decode(), int(header.group(2)), int(header.group(3))
        self.resident.seen.add(nonce, source)
        line = (
            f'{self.prefix}{source}","port":{port},"nonce":"{nonce}","size":{header.end() - header.start() + pad},'
            f'"digest":"{received}","intact":{"true" if intact else "false"}}}\n'
        ).encode()
        return line + pattern(nonce + "r", reply_size - len(line)) if reply_size > len(line) else line

    def _accept(self, _mask: int) -> None:
        for _ in range(IN_FLIGHT):
            try:
                connection, peer = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self.resident.drop_idle()
                return
            Connection(self, connection, peer[0], peer[1])

    def _datagrams(self, _mask: int) -> None:
        for _ in range(IN_FLIGHT):
            try:
                data, control, _flags, peer = self.socket.recvmsg(65535, 64)
            except BlockingIOError:
                return
            except OSError:
                continue
            header = HEADER.match(data)
            if header is None:
                continue
            payload = data[header.end() :]
            intact = payload == pattern(header.group(1).decode(), int(header.group(2)))
            reply = self.answer(header, peer[0], peer[1], digest(payload), intact)
            # The answer leaves from the address that was asked: a machine with several might prefer another.
            level, kind, info = control[0]
            info = b"\0\0\0\0" + info[8:12] + b"\0\0\0\0" if self.family == socket.AF_INET else info[:16] + b"\0\0\0\0"
            with contextlib.suppress(OSError):  # a full buffer or an unreachable client: the client reports it
                self.socket.sendmsg([reply[:65507]], [(level, kind, info)], 0, peer)


class Connection:
    """One accepted TCP connection. Nearly all are read, answered and closed within the constructor."""

    __slots__ = ("fd", "header", "listener", "out", "peer", "received", "socket", "started")

    def __init__(self, listener: Listener, connection: socket.socket, source: str, port: int) -> None:
        self.listener, self.socket, self.peer, self.started = listener, connection, (source, port), now()
        self.fd = -1
        self.header: re.Match[bytes] | None = None
        self.received: bytes | bytearray = b""
        self.out: bytes | memoryview = b""
        if self._read():
            self.fd = connection.fileno()
            listener.resident.connections[self.fd] = self
            listener.loop.watch(self.fd, OUT if self.out else IN, self._event)

    def close(self) -> None:
        if self.fd >= 0:
            self.listener.loop.handlers.pop(self.fd, None)
            self.listener.resident.connections.pop(self.fd, None)
            self.fd = -1
        self.socket.close()

    def _event(self, _mask: int) -> None:
        if self.out:
            self._write()
        elif self._read() and self.out:
            self.listener.loop.rewatch(self.fd, OUT)

    def _read(self) -> bool:
        """Reads what is there; True while the connection goes on, False when it is done and closed."""
        try:
            data = self.socket.recv(262144, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        if self.received:
            if isinstance(self.received, bytes):
                self.received = bytearray(self.received)
            self.received += data
        else:
            self.received = data
        if self.header is None:
            self.header = HEADER.match(bytes(self.received[:HEADER_LIMIT]))
            if self.header is None:
                return self._read_stranger()
        size, pad = self.header.end(), int(self.header.group(2))
        if len(self.received) < size + pad:
            return True
        payload = bytes(self.received[size:])
        intact = not payload or payload == pattern(self.header.group(1).decode(), pad)
        self.out = self.listener.answer(self.header, *self.peer, digest(payload), intact)
        return self._write()

    def _read_stranger(self) -> bool:
        """A GET is answered: kubelets' probes and the API server's proxy speak nothing else."""
        is_get = self.received.startswith(b"GET ")
        if is_get and b"\r\n\r\n" in self.received:
            return self._answer_get()
        if len(self.received) < (HTTP_LIMIT if is_get else HEADER_LIMIT):
            return True
        self.close()
        return False

    def _answer_get(self) -> bool:
        """With this place's name, the path that was asked for, and the client's address as it is seen here."""
        resident = self.listener.resident
        path = bytes(self.received).split(b" ", 2)[1].decode("latin-1")
        said = {"name": resident.name, "instance": resident.instance, "path": path, "source": self.peer[0]}
        body = json.dumps(said).encode() + b"\n"
        head = f"HTTP/1.1 {resident.http_status} prober\r\nContent-Type: application/json\r\n"
        self.out = f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        return self._write()

    def _write(self) -> bool:
        try:
            sent = self.socket.send(self.out, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            self.close()
            return False
        if sent < len(self.out):
            self.out = memoryview(self.out)[sent:]
            return True
        self.close()
        return False


# ---------------------------------------------------------------------------------------------------------- probing


class Attempt:
    """One socket of a probe: sends the request, reads the answer, reports the outcome to its probe."""

    __slots__ = ("answer", "fd", "later", "number", "probe", "socket", "started", "unsent")

    def __init__(self, probe: Probe, number: int) -> None:
        self.probe, self.number, self.fd = probe, number, -1
        self.answer = b""
        self.started = now()
        request = memoryview(probe.request)
        now_sent = len(request) // 2 if probe.idle else len(request)
        self.unsent, self.later = request[:now_sent], request[now_sent:]
        stream = probe.proto == "tcp"
        family = socket.AF_INET6 if ":" in probe.address else socket.AF_INET
        phase = "socket"
        try:
            kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
            self.socket = socket.socket(family, kind | socket.SOCK_NONBLOCK)
        except OSError as error:
            probe.finish(self, *classify(error.errno or 0, phase))
            return
        try:
            if stream:
                # We close by reset once we have the answer: neither side keeps TIME_WAIT, conntrack forgets sooner.
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            elif family == socket.AF_INET:
                self.socket.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            phase = "setting options"
            if probe.has_options:
                set_options(self.socket, family, probe.options)
            take_source(self.socket, family, probe.options, number, probe.batch.resident.source_ports)
            phase = "connect"
            code = self.socket.connect_ex((probe.address, probe.port))
            if code not in (0, errno.EINPROGRESS):
                self._fail(code, phase)
                return
            # When the peer is on this machine the handshake is over already, and so the first write succeeds.
            phase = "send"
            with contextlib.suppress(BlockingIOError):
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
            self.fd = self.socket.fileno()
            probe.batch.loop.watch(self.fd, IN | OUT if self.unsent else IN, self._event)
            if self.later:
                probe.batch.loop.at(now() + probe.idle, self._resume)
        except OSError as error:
            self._fail(error.errno or 0, phase)

    def _fail(self, number: int, phase: str) -> None:
        kind, detail = classify(number, phase)
        if phase == "setting options" and kind != "error":
            kind, detail = "error", f"{detail} at {phase}"
        elif number == errno.EMSGSIZE:
            detail = f"larger than the path: MTU {path_mtu(self.socket)}"
            if phase == "receive" and "df" not in self.probe.options and self.probe.is_last(self):
                # The kernel has just learned the path's MTU and would fragment what an application sends next.
                self.close()
                self.probe.repeat()
                return
        self.probe.finish(self, kind, detail)

    def close(self) -> None:
        if self.fd >= 0:
            self.probe.batch.loop.handlers.pop(self.fd, None)  # closing the socket takes it out of the epoll set
            self.fd = -1
        if hasattr(self, "socket"):
            self.socket.close()

    def _resume(self) -> None:
        """The idle time is over: the second half of the request follows on the same connection."""
        if self.fd >= 0 and not self.unsent:
            self.unsent, self.later = self.later, self.later[:0]
            self.probe.batch.loop.rewatch(self.fd, IN | OUT)

    def _event(self, mask: int) -> None:
        phase = "connect"
        try:
            if self.unsent:
                number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    self._fail(number, phase)
                    return
                phase = "send"
                with contextlib.suppress(BlockingIOError):
                    self.unsent = self.unsent[self.socket.send(self.unsent) :]
                if not self.unsent:
                    self.probe.batch.loop.rewatch(self.fd, IN)
                elif not mask & (IN | HUP | ERR):
                    return  # and if it is readable, the peer answered or closed before it had read everything
            phase = "receive"
            data = self.socket.recv(262144)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error.errno or 0, phase)
            return
        self._received(data)

    def _received(self, data: bytes) -> None:
        probe = self.probe
        if probe.proto == "tcp" and not data:
            probe.finish(self, "reset", f"closed {'in the middle of' if self.answer else 'without'} an answer")
            return
        self.answer = self.answer + data if self.answer else data
        verdict = judge_answer(self.answer, probe.nonce, probe.request, probe.reply_size)
        if verdict is not None:
            probe.finish_answered(self, *verdict)
        elif probe.proto == "udp":
            probe.finish(self, "wrong_peer", f"an answer of {len(data)} bytes in no known form or cut off")


class SourcePorts:
    """Source ports in turn, from a lane that no other prober of this network namespace uses.

    A kernel may choose a port again after seconds, and connection tracking remembers a SYN that nobody answered for
    two minutes (nf_conntrack_tcp_timeout_syn_sent): one that was sent to a Service before its rules were there stays
    without translation, and so does every later connection from that port. Read as a verdict, that would be a Service
    that sometimes fails. In turn, a port comes back after thousands of others.
    """

    def __init__(self, path: str = "/proc/sys/net/ipv4/ip_local_port_range") -> None:
        try:
            with open(path) as file:
                low, high = map(int, file.read().split())
        except (OSError, ValueError):
            low, high = EPHEMERAL
        if high - EPHEMERAL[0] >= 4096:
            low = max(low, EPHEMERAL[0])  # below are NodePorts
        self._claim, lane = self._claim_lane()
        self.ports = range(low + lane, high + 1, LANES) or range(low, high + 1)
        self.next = int.from_bytes(os.urandom(4)) % len(self.ports)

    @staticmethod
    def _claim_lane() -> tuple[socket.socket | None, int]:
        """Abstract names belong to a network namespace and are freed with the process, just as ports are."""
        for lane in range(LANES):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                claim.bind(f"\0kip-prober-source-ports-{lane}")
            except OSError:
                claim.close()
                continue
            return claim, lane
        return None, os.getpid() % LANES

    def close(self) -> None:
        if self._claim:
            self._claim.close()

    def bind(self, sock: socket.socket, address: str) -> None:
        """Binds to the next port that is free. OSError, when none is or when it is not for want of one."""
        for _ in self.ports:
            port = self.ports[self.next]
            self.next = (self.next + 1) % len(self.ports)
            try:
                sock.bind((address, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return
        raise OSError(errno.EADDRINUSE, "every source port is in use")


def take_source(
    sock: socket.socket, family: int, options: dict[str, Any], number: int, source_ports: SourcePorts
) -> None:
    """Binds to what the probe asks for, or to the next source port."""
    address = options.get("bind", "::" if family == socket.AF_INET6 else "0.0.0.0")
    if port := int(options.get("source_port", 0)):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A second attempt cannot share the first one's port towards the same target: it takes the next.
        sock.bind((address, port + number - 1))
    else:
        source_ports.bind(sock, address)


def set_options(sock: socket.socket, family: int, options: dict[str, Any]) -> None:
    """Sets what a probe asks of its socket, before it is bound: what it is bound to may depend on it."""
    if "tos" in options:
        level = (
            (socket.IPPROTO_IP, socket.IP_TOS)
            if family == socket.AF_INET
            else (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
        )
        sock.setsockopt(*level, int(options["tos"]))
    if "ttl" in options:
        level = (
            (socket.IPPROTO_IP, socket.IP_TTL)
            if family == socket.AF_INET
            else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
        )
        sock.setsockopt(*level, int(options["ttl"]))
    if "df" in options:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE if options["df"] else IP_PMTUDISC_DONT)
    if options.get("ip_options"):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex(options["ip_options"]))


OPTION_NAMES = ("tos", "ttl", "df", "ip_options")


def path_mtu(sock: socket.socket) -> int | None:
    try:
        return sock.getsockopt(socket.IPPROTO_IP, IP_MTU)
    except OSError:
        return None


class Probe:
    """One probe of a batch: up to two attempts, one result."""

    __slots__ = (
        "address", "attempts", "batch", "done", "extensions", "has_options", "holds_slot", "idle", "index", "lost",
        "most", "nonce", "options", "port", "proto", "reply_size", "request", "started", "timeout",
    )  # fmt: skip

    def __init__(self, batch: Batch, index: int, address: str, spec: dict[str, Any]) -> None:
        self.batch, self.index, self.address, self.options = batch, index, address, spec
        self.proto: str = spec.get("proto", "tcp")
        self.port: int = spec["port"]
        self.idle: float = spec.get("idle", 0.0)  # seconds of silence in the middle of the request, on top of timeout
        self.timeout: float = spec.get("timeout", 1.0) + self.idle
        self.reply_size: int = spec.get("reply_size", 0)
        self.most: int = 1 if self.idle else spec.get("attempts", 2)
        self.nonce: str = spec.get("nonce") or f"{batch.nonce}.{index}"
        self.request = request_bytes(self.nonce, spec.get("size", 0), self.reply_size)
        self.has_options = any(name in spec for name in OPTION_NAMES)
        self.attempts: list[Attempt] = []
        self.done = False
        self.holds_slot = True
        self.extensions = 0

    def start(self) -> None:
        loop = self.batch.loop
        self.started = now()
        self.lost = loop.lost
        self.attempts.append(Attempt(self, 1))
        if not self.done:
            loop.at(self.started + min(QUIET, self.timeout / 4), self.quiet)

    def quiet(self) -> None:
        """Unanswered for a while: it costs nothing more, so others may start. Still open for its whole timeout."""
        if self.done:
            return
        self.release()
        loop = self.batch.loop
        if self.most > 1:
            loop.at(self.started + self.timeout / 2, self.batch.is_due_again(self))
        loop.at(self.started + self.timeout, self.expire)

    def repeat(self) -> None:
        if not self.done:
            self.attempts.append(Attempt(self, len(self.attempts) + 1))

    def expire(self) -> None:
        if self.done:
            return
        loop = self.batch.loop
        lost = loop.lost - self.lost
        if lost > self.timeout / 10 and self.extensions < 3:
            self.extensions += 1
            self.lost = loop.lost
            loop.at(now() + max(self.timeout / 2, min(lost, self.timeout)), self.expire)
            if self.most > 1:
                self.repeat()
            return
        first = self.attempts[0]
        connected = self.proto == "tcp" and not first.unsent
        self._end(["timeout", None, "connected, no answer" if connected else "no answer"])

    def release(self) -> None:
        if self.holds_slot:
            self.holds_slot = False
            self.batch.pacer.active -= 1

    def is_last(self, attempt: Attempt) -> bool:
        """This is the newest attempt, and another one is allowed."""
        return attempt.number >= len(self.attempts) and attempt.number < self.most

    def finish_answered(self, attempt: Attempt, kind: str, facts: dict[str, Any]) -> None:
        elapsed = round(now() - attempt.started, 6)
        attempt.close()
        if kind == "open":
            source, instance = facts.get("source"), facts.get("instance")
            self._end(["open", facts["name"], source, facts.get("port"), elapsed, attempt.number, instance])
        else:
            self._end([kind, facts.get("name"), facts["detail"]])

    def finish(self, attempt: Attempt, kind: str, detail: str) -> None:
        """The end of one attempt by other than an answer in form; usually the end of the probe."""
        attempt.close()
        gave_up_early = kind == "timeout"  # the kernel did; the window is not over, and `expire` ends it
        only_second_failed_here = kind == "error" and attempt.number > 1
        if not gave_up_early and not only_second_failed_here:
            self._end([kind, None, detail])

    def _end(self, result: list[Any]) -> None:
        if self.done:
            return
        self.done = True
        self.release()
        for attempt in self.attempts:
            attempt.close()
        self.attempts.clear()
        self.batch.record(self.index, result)


class Pacer:
    """Lets IN_FLIGHT probes be new at a time, over all batches, each batch in turn; and bounds open descriptors."""

    def __init__(self, descriptors: int) -> None:
        self.active = 0
        self.waiting: collections.deque[Batch] = collections.deque()
        self.most_open = max(IN_FLIGHT, descriptors // 3)

    def fill(self) -> None:
        waiting = self.waiting
        while waiting and self.active < IN_FLIGHT:
            batch = waiting[0]
            if batch.open >= self.most_open:
                if len(waiting) == 1:
                    return
                waiting.rotate(-1)
                if all(other.open >= self.most_open for other in waiting):
                    return
                continue
            probe = next(batch.todo, None)
            if probe is None:
                waiting.popleft()
                continue
            if len(waiting) > 1:
                waiting.rotate(-1)
            self.active += 1
            batch.open += 1
            probe.start()


class Batch:
    """The probes of one request. Replies once, when the last one has its result; results keep the order of probes."""

    def __init__(self, resident: Resident, message: dict[str, Any], reply: Callable[[dict[str, Any]], None]) -> None:
        self.resident, self.loop, self.pacer, self.reply = resident, resident.loop, resident.pacer, reply
        self.nonce: str = message.get("nonce") or os.urandom(6).hex()
        self.specs: list[dict[str, Any]] = message["probes"]
        self.defaults: dict[str, Any] = message.get("defaults") or {}
        self.results: list[list[Any] | None] = [None] * len(self.specs)
        self.left = len(self.specs)
        self.open = 0
        self.lag = 0.0
        self.next_repeat = 0.0
        self.started = now()
        self.names: dict[str, Any] = {}
        self.todo: Iterator[Probe] = iter(())
        validate_probes(self.specs, self.defaults)
        if not self.specs:
            reply({"results": [], "lag": 0.0, "elapsed": 0.0})
            return
        self.loop.observe(self)
        self._resolve_names()

    def _resolve_names(self) -> None:
        wanted: list[str] = []
        for spec in self.specs:
            target: str = spec.get("host") or self.defaults["host"]
            if target not in self.names:
                self.names[target] = target if is_address(target) else None
                if self.names[target] is None:
                    wanted.append(target)
        pending = len(wanted)

        def resolved(target: str, answer: dict[str, Any]) -> None:
            nonlocal pending
            pending -= 1
            self.names[target] = answer
            if not pending:
                self._begin()

        if not wanted:
            self._begin()
        for target in wanted:
            timeout = max(spec.get("timeout", self.defaults.get("timeout", 1.0)) for spec in self.specs)
            Task(self.loop, look_up(self.resident, target, timeout, functools.partial(resolved, target)))

    def _begin(self) -> None:
        self.todo = self._probes()
        self.pacer.waiting.append(self)

    def _probes(self) -> Iterator[Probe]:
        for index, own in enumerate(self.specs):
            spec = {**self.defaults, **own}
            address = self.names[spec["host"]]
            if isinstance(address, dict):
                if not address["addresses"]:
                    self.open += 1
                    self.record(index, ["no_name", None, address["detail"]])
                    continue
                address = address["addresses"][0]
            yield Probe(self, index, address, spec)

    def is_due_again(self, probe: Probe) -> Callable[[], None]:
        """The second attempt of a probe, spread over the time that is left rather than sent as another burst."""

        def due() -> None:
            if probe.done:
                return
            time_now = now()
            spacing = min(0.01, probe.timeout * 0.3 / max(1, self.left))
            at = max(time_now, self.next_repeat)
            at = min(at, max(time_now, probe.started + probe.timeout * 0.85))
            self.next_repeat = at + spacing
            self.loop.at(at, probe.repeat)

        return due

    def record(self, index: int, result: list[Any]) -> None:
        self.results[index] = result
        self.left -= 1
        self.open -= 1
        if self.left == 0:
            self.loop.observers.discard(self)
            self.reply({"results": self.results, "lag": round(self.lag, 4), "elapsed": round(now() - self.started, 6)})


class BadRequest(Exception):
    """The request itself is wrong; the reply says how."""


def is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, text)
            return True
    return False


def validate_probes(specs: list[dict[str, Any]], defaults: dict[str, Any]) -> None:
    known = {
        "proto",
        "host",
        "port",
        "nonce",
        "timeout",
        "size",
        "reply_size",
        "attempts",
        "idle",
        "source_port",
        "bind",
        *OPTION_NAMES,
    }
    if not isinstance(specs, list):
        raise BadRequest("probes is not a list")
    for index, own in enumerate([defaults, *specs]):
        where = f"probe {index - 1}" if index else "defaults"
        if not own.keys() <= known:
            raise BadRequest(f"{where}: unknown field {sorted(own.keys() - known)[0]}")
        if not index:
            continue
        spec = {**defaults, **own}
        if not isinstance(spec.get("host"), str) or not isinstance(spec.get("port"), int):
            raise BadRequest(f"{where}: host or port is missing")
        if spec.get("proto", "tcp") not in ("tcp", "udp") or not 0 < spec["port"] < 65536:
            raise BadRequest(f"{where}: proto or port is out of range")
        if not 0 < spec.get("timeout", 1.0) <= 600:
            raise BadRequest(f"{where}: timeout is out of range")
        if not 0 <= spec.get("idle", 0) <= 600 or (spec.get("idle") and spec.get("proto") == "udp"):
            raise BadRequest(f"{where}: idle is out of range, or for UDP")
        limit = 65507 if spec.get("proto") == "udp" else 64 << 20
        if not 0 <= spec.get("size", 0) <= limit or not 0 <= spec.get("reply_size", 0) <= limit:
            raise BadRequest(f"{where}: size or reply_size is out of range")


# -------------------------------------------------------------------------------------------------------------- DNS

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "TXT": 16, "AAAA": 28, "SRV": 33}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


def encode_name(name: str) -> bytes:
    """RFC 1035 §3.1. Raises BadRequest for labels that cannot be written."""
    encoded = b""
    for label in name.rstrip(".").split(".") if name.rstrip(".") else []:
        part = label.encode()
        if not 0 < len(part) < 64:
            raise BadRequest(f"{name}: not a domain name")
        encoded += bytes([len(part)]) + part
    if len(encoded) > 254:
        raise BadRequest(f"{name}: longer than a domain name may be")
    return encoded + b"\0"


def encode_query(identity: int, name: str, kind: str, edns: int) -> bytes:
    number = TYPES.get(kind) or (int(kind[4:]) if kind.startswith("TYPE") and kind[4:].isdigit() else 0)
    if not 0 < number < 65536:
        raise BadRequest(f"unknown record type {kind}; known are {', '.join(TYPES)} and TYPE and a number (RFC 3597)")
    header = struct.pack("!6H", identity, 0x0100, 1, 0, 0, 1 if edns else 0)
    option = b"\0" + struct.pack("!HHIH", 41, edns, 0, 0) if edns else b""
    return header + encode_name(name) + struct.pack("!HH", number, 1) + option


def decode_name(message: bytes, at: int) -> tuple[str, int]:
    """(name, offset after it); follows compression, RFC 1035 §4.1.4. Raises ValueError on a damaged message."""
    labels: list[str] = []
    after, jumps = -1, 0
    while True:
        if at >= len(message):
            raise ValueError("a name runs past the end")
        length = message[at]
        if length >= 0xC0:
            if at + 1 >= len(message):
                raise ValueError("a name pointer runs past the end")
            after = at + 2 if after < 0 else after
            at = (length & 0x3F) << 8 | message[at + 1]
            jumps += 1
            if jumps > 64:
                raise ValueError("name pointers go round in a circle")
        elif length == 0:
            return ".".join(labels) + ".", after if after >= 0 else at + 1
        else:
            labels.append(message[at + 1 : at + 1 + length].decode("ascii", "backslashreplace"))
            at += 1 + length


def decode_data(message: bytes, kind: int, at: int, length: int) -> str:  # noqa: PLR0911 - one per record type
    data = message[at : at + length]
    if kind == 1 and length == 4:
        return socket.inet_ntop(socket.AF_INET, data)
    if kind == 28 and length == 16:
        return socket.inet_ntop(socket.AF_INET6, data)
    if kind in (2, 5, 12):
        return decode_name(message, at)[0]
    if kind == 33:
        priority, weight, port = struct.unpack_from("!3H", message, at)
        return f"{priority} {weight} {port} {decode_name(message, at + 6)[0]}"
    if kind == 16:
        parts, position = [], 0
        while position < len(data):
            parts.append(data[position + 1 : position + 1 + data[position]].decode("utf-8", "backslashreplace"))
            position += 1 + data[position]
        return "".join(parts)
    if kind == 6:
        primary, after = decode_name(message, at)
        mailbox, after = decode_name(message, after)
        return " ".join([primary, mailbox, *map(str, struct.unpack_from("!5I", message, after))])
    return data.hex()


def decode_reply(message: bytes) -> dict[str, Any]:
    """rcode, truncated, authoritative and answers. Raises ValueError on a damaged message."""
    try:
        identity, flags, questions, answers = struct.unpack_from("!4H", message)
        at = 12
        for _ in range(questions):
            at = decode_name(message, at)[1] + 4
        records = []
        for _ in range(answers):
            name, at = decode_name(message, at)
            kind, _class, ttl, length = struct.unpack_from("!HHIH", message, at)
            if at + 10 + length > len(message):
                raise ValueError("damaged DNS message: a record runs past the end")
            data = decode_data(message, kind, at + 10, length)
            records.append({"name": name, "type": TYPE_NAMES.get(kind, str(kind)), "ttl": ttl, "data": data})
            at += 10 + length
    except (struct.error, IndexError) as error:
        raise ValueError(f"damaged DNS message: {error}") from error
    code = flags & 15
    return {
        "identity": identity,
        "is_reply": bool(flags & 0x8000),
        "rcode": RCODES[code] if code < len(RCODES) else str(code),
        "truncated": bool(flags & 0x0200),
        "authoritative": bool(flags & 0x0400),
        "answers": records,
    }


def read_resolv_conf(path: str = "/etc/resolv.conf") -> dict[str, Any]:
    """The settings of resolv.conf(5), with its defaults."""
    found: dict[str, Any] = {"servers": [], "search": [], "ndots": 1, "timeout": 5.0, "attempts": 2, "tcp": False}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        lines = []
    for line in lines:
        words = line.split("#")[0].split(";")[0].split()
        if not words:
            continue
        if words[0] == "nameserver" and len(words) > 1:
            found["servers"].append(words[1])
        elif words[0] in ("search", "domain"):
            found["search"] = [word.rstrip(".") for word in words[1:] if word != "."]
        elif words[0] == "options":
            for word in words[1:]:
                key, _, value = word.partition(":")
                if key in ("ndots", "attempts", "timeout") and value.isdigit():
                    found[key] = float(value) if key == "timeout" else int(value)
                elif key == "use-vc":
                    found["tcp"] = True
    found["servers"] = found["servers"][:3] or ["127.0.0.1"]
    return found


def read_hosts(name: str, path: str = "/etc/hosts") -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.split("#")[0].split() for line in file]
    except OSError:
        return []
    wanted = name.rstrip(".").lower()
    return [words[0] for words in lines if wanted in (word.lower() for word in words[1:])]


def search_order(name: str, search: list[str], ndots: int) -> list[str]:
    """The names to ask for, in order, as resolv.conf(5) has it."""
    if name.endswith("."):
        return [name]
    qualified = [f"{name}.{domain}." for domain in search]
    return [f"{name}.", *qualified] if name.count(".") >= ndots else [*qualified, f"{name}."]


async def ask(server: str, port: int, name: str, kind: str, *, tcp: bool, edns: int, deadline: float) -> dict[str, Any]:
    """One question to one server. The reply, or {"error": ...} with what a socket error or silence amounts to."""
    identity = int.from_bytes(os.urandom(2), "big")
    query = encode_query(identity, name, kind, edns)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, (socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) | socket.SOCK_NONBLOCK) as sock:
        try:
            code = sock.connect_ex((server, port))
            if code == errno.EINPROGRESS:
                if not await ready(sock.fileno(), OUT, deadline):
                    return {"error": "timeout"}
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                return {"error": ":".join(classify(code, "connect"))}
            sock.send(struct.pack("!H", len(query)) + query if tcp else query)
            return await answer_to(sock, identity, tcp, deadline)
        except OSError as error:
            return {"error": ":".join(classify(error.errno or 0, "exchange"))}
        except ValueError as error:
            return {"error": str(error)}


async def answer_to(sock: socket.socket, identity: int, tcp: bool, deadline: float) -> dict[str, Any]:
    """The reply with that identity. Raises OSError, and ValueError on a damaged message."""
    data = b""
    while await ready(sock.fileno(), IN, deadline):
        part = sock.recv(65535)
        if tcp:
            if not part:
                return {"error": "reset:closed without an answer"}
            data += part
            if len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
                continue
            part = data[2:]
        reply = decode_reply(part)
        if reply.pop("is_reply") and reply.pop("identity") == identity:
            return {**reply, "size": len(part)}
    return {"error": "timeout"}


async def resolve(message: dict[str, Any]) -> dict[str, Any]:
    """Resolve as a client in this place would, or as the request says.

    Fields: name, type (A), server (else those of /etc/resolv.conf), port (53), search (true unless a server is named),
    tcp, edns (payload size, 0 for none), timeout (seconds, for the whole), attempts, files (look in /etc/hosts too).
    Like glibc: the next name of the search path on NXDOMAIN or an empty answer; the next server on silence or SERVFAIL.
    """
    conf = read_resolv_conf(message.get("resolv_conf", "/etc/resolv.conf"))
    name, kind = message["name"], message.get("type", "A")
    servers = [message["server"]] if message.get("server") else conf["servers"]
    whole = float(message.get("timeout", 5.0))
    attempts = int(message.get("attempts", conf["attempts"]))
    port, edns, tcp = int(message.get("port", 53)), int(message.get("edns", 0)), bool(message.get("tcp", conf["tcp"]))
    started = now()
    end = started + whole
    if message.get("files") and kind in ("A", "AAAA"):
        found = [item for item in read_hosts(name) if (":" in item) == (kind == "AAAA")]
        if found:
            answers = [{"name": name, "type": kind, "ttl": 0, "data": item} for item in found]
            return {"rcode": "NOERROR", "answers": answers, "server": "/etc/hosts", "truncated": False, "error": "",
                    "protocol": "file", "question": name, "tried": [], "elapsed": 0.0}  # fmt: skip
    names = search_order(
        name, conf["search"] if message.get("search", not message.get("server")) else [], conf["ndots"]
    )
    tried: list[dict[str, Any]] = []
    last: dict[str, Any] = {"rcode": None, "answers": [], "truncated": False}
    silence = max(0.1, min(conf["timeout"], whole / max(1, len(servers) * attempts)))
    for question in names:
        for server in servers * attempts:
            if now() >= end:
                break
            began, protocol = now(), "tcp" if tcp else "udp"
            reply = await ask(server, port, question, kind, tcp=tcp, edns=edns, deadline=min(end, began + silence))
            if reply.get("truncated") and not tcp and message.get("fallback", True):
                full = await ask(server, port, question, kind, tcp=True, edns=edns, deadline=min(end, now() + silence))
                protocol = "tcp"
                reply = full if "error" in full else {**full, "truncated": True}
            tried.append({"question": question, "server": server, "protocol": protocol,
                          "rcode": reply.get("rcode"), "error": reply.get("error", ""),
                          "elapsed": round(now() - began, 6)})  # fmt: skip
            if "error" not in reply:
                last = {**reply, "server": server, "question": question, "protocol": protocol}
                if reply["rcode"] in ("NOERROR", "NXDOMAIN"):
                    break
        if last["answers"] or now() >= end:
            break
    error = "" if last["rcode"] else (tried[-1]["error"] if tried else "no time to ask")
    return {**last, "tried": tried, "error": error, "elapsed": round(now() - started, 6)}


class PairedLookups:
    """Many lookups of one name, each as a resolver library does it: A and AAAA at once from one new socket.

    Fields: name, count, timeout (seconds for both answers), server (else the first of resolv.conf), port. Nothing is
    sent twice. Gives up after LOSSES_TOLD lost answers: more say nothing new and cost a timeout each.
    """

    IN_FLIGHT = 16  # each is two datagrams; the server's socket must hold those of every place at once
    LOSSES_TOLD = 16

    def __init__(self, resident: Resident, message: dict[str, Any], reply: Callable[[dict[str, Any]], None]) -> None:
        self.resident, self.reply = resident, reply
        self.name, self.left = str(message["name"]), int(message["count"])
        self.timeout, self.port = float(message.get("timeout", 1.0)), int(message.get("port", 53))
        conf = message.get("resolv_conf", resident.resolv_conf)
        self.server = message.get("server") or read_resolv_conf(conf)["servers"][0]
        self.asked, self.slowest = 0, 0.0
        self.lost: collections.Counter[str] = collections.Counter()
        self.answers: collections.Counter[str] = collections.Counter()
        encode_query(1, self.name, "A", 0)  # a name that cannot be written is refused before anything is sent
        self.running = max(1, min(self.IN_FLIGHT, self.left))
        for _ in range(self.running):
            Task(resident.loop, self._one_after_another())

    async def _one_after_another(self) -> None:
        while self.left > 0 and self.lost.total() < self.LOSSES_TOLD:
            self.left -= 1
            self.asked += 1
            try:
                await self._look_up()
            except (OSError, ValueError) as error:
                self.lost[type(error).__name__] += 1
        self.running -= 1
        if not self.running:
            self.reply({"asked": self.asked, "slowest": round(self.slowest, 6),
                        "lost": dict(self.lost), "answers": dict(self.answers)})  # fmt: skip

    async def _look_up(self) -> None:
        pending = {
            int.from_bytes(os.urandom(2), "big") << 1 & 0xFFFF | bit: kind for bit, kind in ((0, "A"), (1, "AAAA"))
        }
        began, lost_before = now(), self.resident.loop.lost
        family = socket.AF_INET6 if ":" in self.server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.connect((self.server, self.port))
            for identity, kind in pending.items():
                sock.send(encode_query(identity, self.name, kind, 0))
            while pending and await ready(
                sock.fileno(), IN, began + self.timeout + self.resident.loop.lost - lost_before
            ):
                reply = decode_reply(sock.recv(65535))
                kind = pending.pop(reply["identity"], "")
                if kind and reply["is_reply"]:
                    self.answers[f"{kind} {reply['rcode']} {len(reply['answers'])}"] += 1
        self.lost.update(pending.values())
        if not pending:
            self.slowest = max(self.slowest, now() - began - (self.resident.loop.lost - lost_before))


async def look_up(resident: Resident, name: str, timeout: float, done: Callable[[dict[str, Any]], None]) -> None:
    """The addresses of a probe's host: as an application in this place would find them, /etc/hosts first."""
    try:
        answer = await resolve({"name": name, "timeout": timeout, "files": True, "resolv_conf": resident.resolv_conf})
    except BadRequest as error:
        answer = {"answers": [], "rcode": None, "error": str(error)}
    found = [record["data"] for record in answer["answers"] if record["type"] == "A"]
    done({"addresses": found, "detail": f"{name}: {answer['rcode'] or answer['error']}"})


# ------------------------------------------------------------------------------------------------- path MTU and ICMP


def queued_error(sock: socket.socket) -> dict[str, Any] | None:
    """The oldest entry of the socket's error queue (sock_extended_err in linux/errqueue.h), or None."""
    try:
        _data, control, _flags, _peer = sock.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, data in control:
        if level == socket.IPPROTO_IP and kind == IP_RECVERR and len(data) >= 16:
            number, origin, icmp_type, code, _pad, info, _ = struct.unpack_from("=IBBBBII", data)
            teller = socket.inet_ntoa(data[20:24]) if len(data) >= 24 and origin == SO_EE_ORIGIN_ICMP else ""
            return {"errno": number, "type": icmp_type, "code": code, "info": info, "teller": teller}
    return None


async def try_size(message: dict[str, Any], size: int) -> dict[str, Any]:
    """One IPv4 UDP packet of `size` bytes with DF set; passes, fragmentation-needed, silent, or a denial's kind."""
    timeout, header = float(message.get("timeout", 1.0)), 28
    if not 100 <= size <= 65535:
        raise BadRequest("size is out of range (100 to 65535 bytes)")
    nonce = os.urandom(6).hex()
    request = request_bytes(nonce, size - header, 0)
    started, deadline = now(), now() + timeout
    for attempt in (1, 2):
        until = started + timeout / 2 if attempt == 1 else deadline
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            # PROBE ignores what was learned of the path before: the answer is the path's own, now.
            discover = IP_PMTUDISC_DO if message.get("cached") else IP_PMTUDISC_PROBE
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, discover)
            try:
                sock.connect((message["host"], int(message["port"])))
                sock.send(request)
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    return {"outcome": "fragmentation-needed", "mtu": path_mtu(sock), "teller": "local", "size": size}
                return {"outcome": classify(error.errno or 0, "send")[0], "detail": str(error), "size": size}
            while await ready(sock.fileno(), IN, until):
                told = queued_error(sock)
                if told is not None:
                    if told["errno"] == errno.EMSGSIZE:
                        return {
                            "outcome": "fragmentation-needed",
                            "mtu": told["info"],
                            "teller": told["teller"],
                            "size": size,
                        }
                    kind = classify(told["errno"], "receive")
                    return {"outcome": kind[0], "detail": kind[1], "teller": told["teller"], "size": size}
                try:
                    data = sock.recv(65535)
                except OSError:
                    continue
                verdict = judge_answer(data, nonce, request, 0)
                if verdict is not None and verdict[0] == "open":
                    return {"outcome": "passes", "peer": verdict[1]["name"], "mtu": path_mtu(sock), "size": size,
                            "rtt": round(now() - started, 6)}  # fmt: skip
    return {"outcome": "silent", "size": size}


async def mtu(message: dict[str, Any]) -> dict[str, Any]:
    """One answer for each of `sizes` (bytes of the IPv4 packet, header included), asked one after the other."""
    return {"answers": [await try_size(message, int(size)) for size in message["sizes"]]}


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"={len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


async def echo(message: dict[str, Any]) -> dict[str, Any]:
    """One ICMP echo (IPv4), sent again at half the timeout. outcome: open, timeout, unreachable."""
    timeout, size = float(message.get("timeout", 1.0)), int(message.get("size", 56))
    target = message["host"]
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
        raw = True
    except PermissionError:
        try:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
            raw = False
        except OSError as error:
            raise BadRequest(f"this place may not send ICMP echo: {error.strerror}") from error
    with sock:
        if not raw:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        if message.get("df"):
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
        identity, payload = int.from_bytes(os.urandom(2), "big"), pattern(os.urandom(6).hex(), max(8, size))
        started = now()
        for sequence, until in ((1, started + timeout / 2), (2, started + timeout)):
            packet = struct.pack("!BBHHH", 8, 0, 0, identity, sequence) + payload
            packet = packet[:2] + struct.pack("=H", checksum(packet)) + packet[4:]
            sent = now()
            try:
                sock.sendto(packet, (target, 0))
            except OSError as error:
                return {"outcome": classify(error.errno or 0, "send")[0], "detail": error.strerror}
            while await ready(sock.fileno(), IN, until):
                try:
                    data, peer = sock.recvfrom(65535)
                except OSError as error:
                    if error.errno == errno.EAGAIN:
                        continue
                    return {"outcome": classify(error.errno or 0, "receive")[0], "detail": error.strerror}
                body = data[(data[0] & 15) * 4 :] if raw else data
                if len(body) < 8:
                    continue
                if body[0] == 0 and body[8:] == payload and (not raw or body[4:6] == packet[4:6]):
                    return {"outcome": "open", "peer": peer[0], "rtt": round(now() - sent, 6), "attempt": sequence}
                inner = body[8 + (body[8] & 15) * 4 :] if body[0] == 3 and len(body) > 28 else b""
                if inner[4:6] == packet[4:6] and inner[:1] == b"\x08":
                    return {"outcome": "unreachable", "detail": f"ICMP code {body[1]}", "peer": peer[0]}
    return {"outcome": "timeout"}


# ------------------------------------------------------------------------------------------------------- interfaces


def netlink_dump(kind: int) -> Iterator[tuple[bytes, dict[int, bytes]]]:
    """(fixed header, attributes) of each answer to an rtnetlink(7) dump of links (18) or addresses (22)."""
    fixed = 16 if kind == 18 else 8
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.settimeout(2)
        sock.send(struct.pack("=IHHII", 16 + fixed, kind, 0x301, 1, 0) + b"\0" * fixed)
        while True:
            data, at = sock.recv(1 << 18), 0
            while at < len(data):
                length, message_type = struct.unpack_from("=IH", data, at)
                if message_type in (2, 3):  # NLMSG_ERROR, NLMSG_DONE
                    return
                body = data[at + 16 : at + length]
                attributes, position = {}, fixed
                while position + 4 <= len(body):
                    size, name = struct.unpack_from("=HH", body, position)
                    attributes[name] = body[position + 4 : position + size]
                    position += max(4, (size + 3) & ~3)
                yield body[:fixed], attributes
                at += (length + 3) & ~3


def interfaces() -> list[dict[str, Any]]:
    """Every interface of this place: name, index, mtu (bytes), up, mac, addresses with prefix lengths."""
    found: dict[int, dict[str, Any]] = {}
    for header, attributes in netlink_dump(18):
        _family, _type, index, flags = struct.unpack_from("=BxHiI", header)
        found[index] = {
            "name": attributes[3].rstrip(b"\0").decode(), "index": index, "up": bool(flags & 1),
            "mtu": struct.unpack("=I", attributes[4])[0], "mac": attributes.get(1, b"").hex(":"), "addresses": [],
        }  # fmt: skip
    for header, attributes in netlink_dump(22):
        family, prefix, _flags, scope, index = struct.unpack("=4BI", header)
        data = attributes.get(2) or attributes.get(1)  # IFA_LOCAL, else IFA_ADDRESS
        if data and index in found:
            address = socket.inet_ntop(family, data)
            found[index]["addresses"].append({"address": address, "prefix": prefix, "scope": scope})
    return list(found.values())


# ------------------------------------------------------------------------------------------------- the conversation


class Channel:
    """One conversation over descriptors that a `channel` process handed over."""

    def __init__(self, resident: Resident, connection: socket.socket, stdin: int, stdout: int) -> None:
        self.resident, self.loop, self.connection = resident, resident.loop, connection
        self.stdin, self.stdout = stdin, stdout
        self.received, self.out = bytearray(), bytearray()
        self.last = self.acknowledged = now()
        self.is_open = True
        for fd in (stdin, stdout):
            os.set_blocking(fd, False)
        self.loop.watch(stdin, IN, self._read)
        self.loop.watch(stdout, 0, self._write)  # errors only: the reader went away
        self.loop.watch(connection.fileno(), IN, self._connection)
        self.loop.at(self.last + HEARTBEAT_LIMIT, self._still_there)
        self._acknowledge()
        self.put({
            "hello": PROTOCOL_VERSION, "name": resident.name, "instance": resident.instance, "pid": os.getpid(),
            "listening": resident.listening(), "python": sys.version.split()[0],
        })  # fmt: skip

    def close(self) -> None:
        """Our copies of the descriptors go first: a runtime ends an exec only once nobody holds its pipes."""
        if not self.is_open:
            return
        self.is_open = False
        for fd in (self.stdin, self.stdout):
            self.loop.forget(fd)
            os.close(fd)
        self.loop.forget(self.connection.fileno())
        with contextlib.suppress(OSError):
            self.connection.send(DROPPED)
        self.connection.close()
        self.resident.channels.discard(self)

    def _acknowledge(self) -> None:
        """One byte to the waiting `channel` process: the resident is alive and hears its heartbeats."""
        self.acknowledged = self.last
        with contextlib.suppress(OSError):
            self.connection.send(ALIVE)

    def _still_there(self) -> None:
        if not self.is_open:
            return
        due = self.last + HEARTBEAT_LIMIT
        if now() >= due:
            self.close()
        else:
            self.loop.at(due, self._still_there)

    def _connection(self, _mask: int) -> None:
        try:
            data = self.connection.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()

    def _read(self, _mask: int) -> None:
        try:
            data = os.read(self.stdin, 1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.loop.forget(self.stdin)
            return
        self.last = now()
        if self.last > self.acknowledged + 2:
            self._acknowledge()
        start = len(self.received)
        self.received += data
        if b"\n" not in data:
            if start > LINE_LIMIT:
                self.close()
            return
        *lines, rest = bytes(self.received).split(b"\n")
        self.received = bytearray(rest)
        for line in lines:
            if self.is_open and line.strip():
                self.resident.handle(self, line)

    def put(self, message: dict[str, Any]) -> None:
        if not self.is_open:
            return
        self.out += json.dumps(message, separators=(",", ":")).encode() + b"\n"
        if len(self.out) < 1 << 28:
            self._write(OUT)
        else:
            self.close()

    def _write(self, mask: int) -> None:
        if mask & ERR:
            self.close()
            return
        try:
            while self.out:
                del self.out[: os.write(self.stdout, memoryview(self.out)[: 1 << 18].tobytes())]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        self.loop.rewatch(self.stdout, OUT if self.out else 0)


class Resident:
    """The process that `serve` runs: listeners, channels and the operations they may ask for."""

    def __init__(self, name: str, address: str, ports: list[int], path: str, resolv_conf: str) -> None:
        self.name, self.address, self.path, self.resolv_conf = name, address, path, resolv_conf
        self.instance = os.urandom(4).hex()
        self.http_status = 200
        self.loop = Loop()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        self.pacer = Pacer(max(soft, wanted))
        self.loop.after_round = self.pacer.fill
        self.seen = Seen()
        self.source_ports = SourcePorts()
        self.channels: set[Channel] = set()
        self.connections: dict[int, Connection] = {}
        self.listeners: dict[tuple[str, int], Listener] = {}
        for port in ports:
            for proto in ("tcp", "udp"):
                self.listeners[proto, port] = Listener(self, proto, port)
        self.control = self._listen_for_channels()
        self.loop.watch(self.control.fileno(), IN, self._hand_over)
        self._sweep()

    def _listen_for_channels(self) -> socket.socket:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
        try:
            control.connect(self.path)
        except FileNotFoundError:
            pass
        except ConnectionRefusedError:
            os.unlink(self.path)  # left behind by a prober that was killed
        else:
            raise OSError(errno.EADDRINUSE, f"another prober serves {self.path}")
        control.close()
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            control.bind(self.path)
        finally:
            os.umask(mask)
        control.listen(64)
        return control

    def _hand_over(self, _mask: int) -> None:
        try:
            connection, _ = self.control.accept()
        except OSError:
            return
        connection.setblocking(False)

        def arrived(_mask: int) -> None:
            self.loop.forget(connection.fileno())
            try:
                _data, fds, _flags, _address = socket.recv_fds(connection, 16, 2)
            except OSError:
                fds = []
            if len(fds) == 2:
                try:
                    self.channels.add(Channel(self, connection, fds[0], fds[1]))
                    return
                except OSError:  # a descriptor that cannot be waited for, such as a plain file
                    self.loop.forget(fds[0])
                    self.loop.forget(fds[1])
            for fd in fds:
                os.close(fd)
            connection.close()

        self.loop.watch(connection.fileno(), IN, arrived)

    def _sweep(self) -> None:
        limit = now() - IDLE_LIMIT
        for connection in [item for item in self.connections.values() if item.started < limit]:
            connection.close()
        self.loop.at(now() + 10, self._sweep)

    def drop_idle(self) -> None:
        """Out of descriptors: the oldest silent connections make room."""
        for connection in list(self.connections.values())[:IN_FLIGHT]:
            connection.close()

    def handle(self, channel: Channel, line: bytes) -> None:
        identity = None
        try:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise BadRequest("the line is not an object")
            identity = message.get("id")
            op = message.get("op")

            def reply(answer: dict[str, Any]) -> None:
                channel.put({"id": identity, **answer})

            if op == "probe":
                Batch(self, message, reply)
            elif op == "lookups":
                PairedLookups(self, message, reply)
            elif op in ASYNC_OPS:
                Task(self.loop, self._answer(ASYNC_OPS[op], message, reply))
            elif op in OPS:
                reply(OPS[op](self, message))
            elif op == "bye":
                channel.put({"id": identity, "bye": True})
                channel.close()
            else:
                raise BadRequest(f"unknown op {op!r}")
        except (BadRequest, ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            channel.put({"id": identity, "failed": f"{type(error).__name__}: {error}"[:400]})

    async def _answer(
        self,
        operation: Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]],
        message: dict[str, Any],
        reply: Callable[[dict[str, Any]], None],
    ) -> None:
        try:
            message.setdefault("resolv_conf", self.resolv_conf)
            reply(await operation(message))
        except (BadRequest, ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            reply({"failed": f"{type(error).__name__}: {error}"[:400]})

    def stats(self, _message: dict[str, Any]) -> dict[str, Any]:
        with open("/proc/self/statm", "rb") as file:
            rss = int(file.read().split()[1]) * resource.getpagesize()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {"rss": rss, "fds": len(os.listdir("/proc/self/fd")), "cpu": usage.ru_utime + usage.ru_stime,
                "lost": round(self.loop.lost, 4), "seen": self.seen.count, "channels": len(self.channels),
                "connections": len(self.connections), "active": self.pacer.active}  # fmt: skip

    def was_seen(self, message: dict[str, Any]) -> dict[str, Any]:
        """For each nonce the source it came from, or null; `count` is of all nonces ever."""
        sources = self.seen.sources
        return {"sources": [sources.get(nonce) for nonce in message["nonces"]], "count": self.seen.count}

    def listen(self, message: dict[str, Any]) -> dict[str, Any]:
        """Opens or closes one listener, for rows and faults whose subject is one that is not there."""
        key = (message["proto"], int(message["port"]))
        if key[0] not in ("tcp", "udp"):
            raise BadRequest(f"unknown protocol {key[0]}")
        if message["open"] and key not in self.listeners:
            self.listeners[key] = Listener(self, *key)
        elif not message["open"] and key in self.listeners:
            self.listeners.pop(key).close()
        return {"listening": self.listening()}

    def answer_http(self, message: dict[str, Any]) -> dict[str, Any]:
        """Sets the status that every GET draws from now on, for rows whose subject is an HTTP probe that fails."""
        status = int(message["status"])
        if not 200 <= status < 600:
            raise BadRequest("status is out of range")
        self.http_status = status
        return {"status": status}

    def listening(self) -> list[str]:
        return sorted(f"{proto}/{port}" for proto, port in self.listeners)


OPS: dict[str, Callable[[Resident, dict[str, Any]], dict[str, Any]]] = {
    "heartbeat": lambda _resident, _message: {"beat": True},
    "stats": Resident.stats,
    "seen": Resident.was_seen,
    "listen": Resident.listen,
    "http": Resident.answer_http,
    "addresses": lambda _resident, _message: {"interfaces": interfaces()},
}
ASYNC_OPS: dict[str, Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]] = {
    "resolve": resolve,
    "mtu": mtu,
    "echo": echo,
}


def serve(arguments: argparse.Namespace) -> int:
    # As PID 1 of a pod nothing has a default action, and orphans of exec'd shells become ours.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        resident = Resident(
            arguments.name, arguments.address, arguments.port or [8080, 8081], arguments.socket, arguments.resolv_conf
        )
    except OSError as error:
        print(f"prober {arguments.name}: {error.strerror or error}", file=sys.stderr, flush=True)
        return 1
    ports = ",".join(map(str, sorted({port for _, port in resident.listeners})))
    print(
        f"prober {resident.name} ready: tcp and udp {ports} on {resident.address}, channels at {resident.path}, "
        f"instance {resident.instance}",
        flush=True,
    )
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    resident.loop.run()
    return 0


def channel(arguments: argparse.Namespace) -> int:
    def give_up(code: int, why: str) -> int:
        line = json.dumps({"error": f"prober at {arguments.socket}: {why}"})
        with contextlib.suppress(OSError):
            os.write(1, line.encode() + b"\n")
        with contextlib.suppress(OSError):
            os.write(2, line.encode() + b"\n")
        return code

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(arguments.patience)
    try:
        connection.connect(arguments.socket)
        socket.send_fds(connection, [b"channel"], [0, 1])
        if not connection.recv(1):
            return give_up(EXIT_GONE, "refused the channel")
    except TimeoutError:
        return give_up(EXIT_SILENT, f"alive but silent for {arguments.patience:g} s (frozen or starved)")
    except OSError as error:
        return give_up(EXIT_GONE, f"cannot be reached ({error.strerror})")
    # Ours would keep the pipes open after the resident dropped the channel. stdout stays for a last error line.
    os.close(0)
    connection.settimeout(HEARTBEAT_LIMIT + 2)
    said = b""
    try:
        while word := connection.recv(64):
            said = word
    except TimeoutError:
        return give_up(EXIT_SILENT, f"no heartbeat passed for {HEARTBEAT_LIMIT + 2:g} s")
    except OSError:
        said = b""
    return 0 if said.endswith(DROPPED) else give_up(EXIT_GONE, "died")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="prober.py", description="Resident network prober")
    commands = parser.add_subparsers(required=True)
    server = commands.add_parser("serve", help="answer and send probes until SIGTERM")
    server.add_argument("--name", default=socket.gethostname())
    server.add_argument("--socket", required=True, help="unix socket for channels")
    server.add_argument("--port", type=int, action="append", help="repeatable; TCP and UDP (default 8080 and 8081)")
    server.add_argument("--address", default="0.0.0.0")
    server.add_argument("--resolv-conf", default="/etc/resolv.conf")
    server.set_defaults(run=serve)
    client = commands.add_parser("channel", help="hand stdin and stdout to the resident prober")
    client.add_argument("--socket", required=True)
    client.add_argument("--patience", type=float, default=2.0, help="seconds to wait for the resident")
    client.set_defaults(run=channel)
    arguments = parser.parse_args(argv)
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
