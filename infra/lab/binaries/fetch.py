"""Fetch one file whose sha256 is known beforehand, over HTTP or HTTPS: one try, bounded in time, nothing half-written.

The only downloader of the lab's components and of Go. Which file to fetch is decided elsewhere.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import socket
import tarfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kip_conformance.infra.lab.binaries.disk import disk_full_as_fault
from kip_conformance.infra.lab.binaries.refusal import Refused
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["NO_DOWNLOAD", "Hosts", "downloads_allowed", "extract_member", "fetch"]

NO_DOWNLOAD = "KIP_NO_DOWNLOAD"
CONNECT_SECONDS = 5.0  # name resolution, TCP and, for HTTPS, the TLS handshake have to fit; patience per read is longer
READ_SECONDS = 30.0
_CHUNK = 1 << 18
_REPORT_SECONDS = 3.0


class Hosts:
    """Remembers hosts that could not be reached, so that a dead one costs its timeout once in a run."""

    def __init__(self) -> None:
        self._dead: dict[str, str] = {}

    def check(self, host: str) -> None:
        """Raises Refused when `host` failed before."""
        if host in self._dead:
            raise Refused(f"{host} could not be reached before")

    def mark(self, host: str, why: str) -> Refused:
        """Remember that `host` is unreachable; returns the refusal to raise, which says so once."""
        self._dead[host] = why
        return Refused(f"{host} cannot be reached ({why}); not asked again in this run")


def downloads_allowed() -> bool:
    """False when the environment variable KIP_NO_DOWNLOAD is set to anything but 0 or nothing."""
    return os.environ.get(NO_DOWNLOAD, "") in ("", "0")


def fetch(url: str, into: Path, *, sha256: str, hosts: Hosts, progress: Progress) -> None:
    """Stream `url` into the file `into`, which appears only with the right sha256.

    Raises Refused when the host is unreachable, the answer is not 200, the file is cut short or its sum differs, and
    EnvironmentFault when the disk is full. No other attempt is made.
    """
    host = urlsplit(url).netloc
    hosts.check(host)
    partial = into.with_name(f"{into.name}.part")
    try:
        with disk_full_as_fault(f"fetching {url}", into):
            total, received, digest = _stream(url, partial, host, hosts, progress)
        if total is not None and received < total:
            raise Refused(f"{url} was cut short: {received} of {total} bytes")
        if digest != sha256:
            raise Refused(f"{url} is corrupt: its sha256 is {digest}, wanted {sha256}; not used")
        partial.replace(into)
    finally:
        partial.unlink(missing_ok=True)


def extract_member(archive: Path, member: str, into: Path) -> None:
    """Write one regular file of a tar archive to `into`, executable. Raises Refused when it is not in there."""
    with disk_full_as_fault(f"unpacking {archive.name}", into), tarfile.open(archive) as tar:
        names = {info.name.removeprefix("./"): info for info in tar if info.isfile()}
        if member not in names:
            raise Refused(f"{archive.name} has no {member}")
        source = tar.extractfile(names[member])
        assert source is not None  # isfile() above
        with source, into.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    into.chmod(0o755)


def _stream(url: str, partial: Path, host: str, hosts: Hosts, progress: Progress) -> tuple[int | None, int, str]:
    opener = urllib.request.build_opener(_PlainHandler, _SecureHandler)
    digest, received, name = hashlib.sha256(), 0, url.rsplit("/", 1)[-1]
    started = reported = time.monotonic()
    try:
        with opener.open(urllib.request.Request(url, headers={"User-Agent": "kip-conformance"})) as answer:
            length = answer.headers.get("Content-Length")
            total = int(length) if length and length.isdecimal() else None
            with partial.open("wb") as sink:
                while chunk := answer.read(_CHUNK):
                    sink.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    if time.monotonic() - reported >= _REPORT_SECONDS:
                        reported = time.monotonic()
                        of = f" of {total >> 20}" if total else ""
                        progress(f"fetching {name}: {received >> 20}{of} MiB, {reported - started:.0f} s")
    except urllib.error.HTTPError as error:
        raise Refused(f"{url} answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:  # raised while connecting, by whichever host a redirect led to
        why = error.reason.strerror if isinstance(error.reason, OSError) else None
        raise hosts.mark(host, why or str(error.reason)) from error
    except http.client.HTTPException as error:
        raise Refused(f"{url} was cut short or garbled ({error!r})") from error
    except (TimeoutError, ConnectionError) as error:
        raise Refused(f"{url} stalled or was cut off after {received} bytes ({error})") from error
    return total, received, digest.hexdigest()


def _connect(host: str, port: int) -> socket.socket:
    """Connect within CONNECT_SECONDS in all: socket.create_connection would spend its timeout on every address anew."""
    deadline = time.monotonic() + CONNECT_SECONDS
    failure: OSError = TimeoutError(f"name not resolved within {CONNECT_SECONDS:.0f} s")
    for family, kind, proto, _name, address in _resolve(host, port):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        sock = socket.socket(family, kind, proto)
        try:
            sock.settimeout(remaining)
            sock.connect(address)
            sock.settimeout(CONNECT_SECONDS)
            return sock
        except OSError as error:
            sock.close()
            failure = (
                TimeoutError(f"no answer in {CONNECT_SECONDS:.0f} s") if isinstance(error, TimeoutError) else error
            )
    raise failure


def _resolve(host: str, port: int) -> list[Any]:
    """getaddrinfo with a limit: a dead resolver would hold it for tens of seconds. A late thread is abandoned."""
    result: list[Any] = []
    failure: list[OSError] = []

    def ask() -> None:
        try:
            result.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if failure:
        raise failure[0]
    return list(result)


class _Bounded(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = _connect(self.host, self.port)
        if getattr(self, "_tunnel_host", None):
            self._tunnel()  # type: ignore[attr-defined]  # what HTTPConnection.connect does for an HTTPS proxy


class _Plain(_Bounded):
    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(READ_SECONDS)


class _Secure(http.client.HTTPSConnection, _Bounded):
    """HTTPSConnection.connect calls the next class's connect, here _Bounded's, and shakes hands within its timeout."""

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(READ_SECONDS)


class _PlainHandler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Plain, request)


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Secure, request)
