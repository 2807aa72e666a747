"""Sockets inside network namespaces, made by a process that lives outside of them.

A socket belongs to the namespace in which it was made, for ever. So this thread enters the namespace, makes the
socket and comes back, without giving control to anything else in between: tens of microseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Iterator

from kip_conformance.infra.lab import kernel
from kip_conformance.infra.lab.namespaces import NETNS_FOLDER

__all__ = ["identity", "inside", "silence", "tcp_listener", "udp_socket", "unsilence"]

_IP_FREEBIND = 15  # Linux's number; Python 3.11 has no name for it
_SO_DETACH_FILTER = 27
_SO_ATTACH_FILTER = 26


@contextlib.contextmanager
def inside(netns: str) -> Iterator[None]:
    """Sockets that are made within this block belong to the namespace of that name. Never await in it.

    Raises OSError when there is no such namespace. When there is no way back the process ends: it must not go on in a
    namespace that is not its own.
    """
    there = os.open(NETNS_FOLDER / netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            kernel.setns(there, kernel.CLONE_NEWNET)
            try:
                yield
            finally:
                try:
                    kernel.setns(home, kernel.CLONE_NEWNET)
                except OSError:
                    os.abort()
        finally:
            os.close(home)
    finally:
        os.close(there)


def identity(netns: str) -> int:
    """A number that differs when a namespace of that name was made anew. Raises OSError when there is none."""
    return os.stat(NETNS_FOLDER / netns).st_ino


def tcp_listener(address: str, port: int) -> socket.socket:
    """A listening socket; the address may still be missing. Raises OSError, when the port is taken for one."""
    return _bound(socket.SOCK_STREAM, address, port)


def udp_socket(address: str, port: int) -> socket.socket:
    """A bound socket; the address may still be missing. Raises OSError."""
    return _bound(socket.SOCK_DGRAM, address, port)


def _bound(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        if kind == socket.SOCK_STREAM:
            made.listen(64)
    except BaseException:
        made.close()
        raise
    return made


def silence(bound: socket.socket) -> None:
    """Let the kernel drop whatever comes to this socket, so that neither an answer nor a refusal is sent.

    A closed socket would refuse. The filter is one instruction, "keep nothing" (the kernel's document "Linux Socket
    Filtering aka Berkeley Packet Filter"); on a listener it drops the first packet of a connection.
    """
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


def unsilence(bound: socket.socket) -> None:
    """Undo `silence`; nothing happens when the socket was not silent."""
    with contextlib.suppress(FileNotFoundError):
        bound.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
