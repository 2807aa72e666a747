"""One process with sockets in many network namespaces: listeners, and probes that are all sent at once.

Runs beside the lab's supervisor with the standard library alone; JSON lines come in on stdin and go out on stdout.
A TCP listener says who connected and then echoes; a UDP or raw one answers with who asked. Outcomes are texts:

    open from 10.20.1.11    refused    silent    unreachable: No route to host    fits 1500    segments of 1448
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import selectors
import socket
import struct
import sys
import time

_libc = ctypes.CDLL(None, use_errno=True)
_HOME = os.open("/proc/self/ns/net", os.O_RDONLY)
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU, IP_TTL = 10, 2, 14, 2


@contextlib.contextmanager
def within(where):
    handle = os.open(f"/run/netns/{where}", os.O_RDONLY)
    if _libc.setns(handle, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), f"setns {where}")
    os.close(handle)
    try:
        yield
    finally:
        _libc.setns(_HOME, 0x40000000)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


class Sockets:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.kept = {}
        self.listening = set()
        # What the probes of the moment have to be sent again by, and to be ended by.
        self.again, self.endings = [], []

    # -- the side that answers

    def listen(self, where, protocol, port, address="0.0.0.0"):
        if (where, protocol, port, address) in self.listening:
            return
        self.listening.add((where, protocol, port, address))
        with within(where):
            if protocol == "tcp":
                listener = socket.socket()
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address, port))
                listener.listen(256)
                answer = self._accepted
            elif protocol == "udp":
                listener = socket.socket(type=socket.SOCK_DGRAM)
                # Answers to large requests may themselves be large: they must never be what is cut to size.
                listener.bind((address, port))
                answer = self._datagram
            else:
                listener = socket.socket(type=socket.SOCK_RAW, proto=port)
                answer = self._raw
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ, answer)

    def _accepted(self, listener):
        connection, peer = listener.accept()
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            connection.send(f"{peer[0]}\n".encode())
        self.selector.register(connection, selectors.EVENT_READ, self._echo)

    def _echo(self, connection):
        try:
            said = connection.recv(65536)
            if said:
                connection.send(said)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.selector.unregister(connection)
        connection.close()

    def _datagram(self, listener):
        with contextlib.suppress(OSError):
            _, peer = listener.recvfrom(65536)
            listener.sendto(peer[0].encode(), peer)

    def _raw(self, listener):
        with contextlib.suppress(OSError):
            said, peer = listener.recvfrom(65536)
            if said[20:].startswith(b"ask"):
                listener.sendto(b"was " + peer[0].encode(), peer)

    # -- the side that asks

    def probe(self, probes, within):
        outcomes = [None] * len(probes)
        for index, wanted in enumerate(probes):

            def done(outcome, index=index):
                if outcomes[index] is None:
                    outcomes[index] = outcome

            try:
                getattr(self, f"_ask_{wanted['protocol']}")(wanted, done)
            except OSError as error:
                done(_named(error))
            self._turn(0)
        deadline = time.monotonic() + within
        resend = time.monotonic() + within / 3
        while None in outcomes and (left := deadline - time.monotonic()) > 0:
            self._turn(min(left, 0.02))
            if time.monotonic() > resend:
                resend = deadline
                for again in self.again:
                    with contextlib.suppress(OSError):
                        again()
        for finish in self.endings:
            finish()
        self.endings, self.again = [], []
        return [outcome or "silent" for outcome in outcomes]

    def _asker(self, wanted, kind, proto=0):
        with within(wanted["where"]):
            asker = socket.socket(type=kind, proto=proto)
        asker.setblocking(False)
        if kind != socket.SOCK_STREAM:
            asker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if wanted["source"] or wanted["source_port"]:
            asker.bind((wanted["source"] or "0.0.0.0", wanted["source_port"]))
        if ttl := wanted["ttl"]:
            asker.setsockopt(0, IP_TTL, ttl)

        def end():
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(asker)
            asker.close()

        self.endings.append(end)
        return asker

    def _ask_tcp(self, wanted, done):
        asker = self._asker(wanted, socket.SOCK_STREAM)
        with contextlib.suppress(BlockingIOError):
            asker.connect((wanted["to"], wanted["port"]))

        def ready(asker):
            try:
                done(f"open from {asker.recv(100).decode().split()[0]}")
            except BlockingIOError:
                return
            except (OSError, IndexError) as error:
                done(_named(error))
            self.selector.unregister(asker)

        self.selector.register(asker, selectors.EVENT_READ, ready)

    def _ask_mss(self, wanted, done):
        """TCP, and how large the segments of the connection are."""
        asker = self._asker(wanted, socket.SOCK_STREAM)
        with contextlib.suppress(BlockingIOError):
            asker.connect((wanted["to"], wanted["port"]))

        def ready(asker):
            said = asker.recv(100)
            done(f"segments of {asker.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)}" if said else "closed")
            self.selector.unregister(asker)

        self.selector.register(asker, selectors.EVENT_READ, ready)

    def _ask_udp(self, wanted, done):
        asker = self._asker(wanted, socket.SOCK_DGRAM)
        asker.connect((wanted["to"], wanted["port"]))
        self._expect(asker, done)
        body = b"x" * (wanted["size"] or 31)
        if wanted["size"]:
            asker.setsockopt(0, IP_MTU_DISCOVER, 0)  # may be fragmented
        self.again.append(lambda: asker.send(body))
        asker.send(body)

    def _ask_icmp(self, wanted, done):
        asker = self._asker(wanted, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        number = os.getpid() & 0xFFFF
        body = os.urandom(8)
        head = struct.pack("!BBHHH", 8, 0, 0, number, 1)
        packet = struct.pack("!BBHHH", 8, 0, checksum(head + body), number, 1) + body

        def ready(asker):
            said, peer = asker.recvfrom(65536)
            if said[20] == 0 and said[28:36] == body:
                done(f"open from {peer[0]}" if peer[0] != wanted["to"] else "open")
            elif said[20] in (3, 11) and said[56:64] == body:
                done(f"error {said[20]}/{said[21]}")

        self.selector.register(asker, selectors.EVENT_READ, ready)
        asker.sendto(packet, (wanted["to"], 0))

    def _ask_raw(self, wanted, done):
        """Any IP protocol, by its number as the port."""
        asker = self._asker(wanted, socket.SOCK_RAW, wanted["port"])

        def ready(asker):
            said, peer = asker.recvfrom(65536)
            if peer[0] == wanted["to"] and said[20:].startswith(b"was "):
                done(f"open from {said[24:].decode()}")

        self.selector.register(asker, selectors.EVENT_READ, ready)
        asker.sendto(b"ask", (wanted["to"], 0))

    def _ask_size(self, wanted, done):
        """UDP of `size` bytes in all that must not be fragmented, cut to what the path says: which size arrives."""
        asker = self._asker(wanted, socket.SOCK_DGRAM)
        asker.setsockopt(0, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        asker.connect((wanted["to"], wanted["port"]))
        size = wanted["size"]

        def send():
            nonlocal size
            for _ in range(4):
                try:
                    asker.send(b"x" * (size - 28))
                    return
                except OSError as error:
                    if error.errno != errno.EMSGSIZE:
                        raise
                    size = min(size, asker.getsockopt(0, IP_MTU))

        def told(outcome):
            if outcome == "too big":
                send()
            else:
                done(f"fits {size}" if outcome.startswith("open") else outcome)

        self._expect(asker, told)
        self.again.append(send)
        send()

    def _expect(self, asker, done):
        def ready(asker):
            try:
                done(f"open from {asker.recv(65536).decode()}")
            except BlockingIOError:
                return
            except OSError as error:
                done("too big" if error.errno == errno.EMSGSIZE else _named(error))

        self.selector.register(asker, selectors.EVENT_READ, ready)

    # -- connections that are kept

    def keep(self, name, where, to, port, *, protocol="tcp"):
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        with within(where):
            kept = socket.socket(type=kind)
        kept.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            kept.connect((to, port))
        if protocol == "udp":
            kept.send(b"ask")
        self.kept[name] = kept
        return self._heard(name, 3)

    def say(self, name, within):
        """Sends something more on a kept connection; is it answered?"""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self.kept[name].recv(65536):
                pass
        try:
            self.kept[name].send(b"again")
        except OSError as error:
            return _named(error)
        return self._heard(name, within)

    def _heard(self, name, patience):
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            self._turn(0.02)
            try:
                said = self.kept[name].recv(65536)
                return "answered" if said else "closed"
            except BlockingIOError:
                continue
            except OSError as error:
                return _named(error)
        return "silent"

    def drop(self, name):
        self.kept.pop(name).close()

    def _turn(self, patience):
        for key, _ in self.selector.select(patience):
            try:
                key.data(key.fileobj)
            except BlockingIOError:
                continue
            except (OSError, ValueError) as error:
                print(f"{key.data.__qualname__}: {error!r}", file=sys.stderr, flush=True)


def _named(error):
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, (TimeoutError, IndexError)):
        return "silent"
    return f"unreachable: {os.strerror(error.errno)}" if error.errno else repr(error)


def main():
    sockets = Sockets()

    def request(stream):
        line = stream.readline()
        if not line:
            sys.exit(0)
        wanted = json.loads(line)
        try:
            answer = {"answer": getattr(sockets, wanted.pop("do"))(**wanted)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)

    sockets.selector.register(sys.stdin, selectors.EVENT_READ, request)
    while True:
        sockets._turn(None)


if __name__ == "__main__":
    main()
