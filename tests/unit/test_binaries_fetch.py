"""The downloader of release files, against an HTTP server on loopback."""

from __future__ import annotations

import errno
import hashlib
import io
import socket
import ssl
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries import fetch as fetching
from kip_conformance.infra.lab.binaries.fetch import Hosts, downloads_allowed, extract_member, fetch
from kip_conformance.infra.lab.binaries.refusal import Refused

CONTENT = b"a program\n" * 50_000
SUM = hashlib.sha256(CONTENT).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
        elif self.path in ("/whole", "/short", "/corrupt"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            body = CONTENT.replace(b"program", b"pr0gram", 1) if self.path == "/corrupt" else CONTENT
            self.wfile.write(body[:1000] if self.path == "/short" else body)
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with _serving() as url:
        yield url


def _certificate(folder: Path) -> Path:
    """A key and a self-signed certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def _serving(certificate: Path | None = None) -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{httpd.server_address[1]}"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def _fetch(url: str, into: Path, hosts: Hosts | None = None, sha256: str = SUM) -> list[str]:
    lines: list[str] = []
    fetch(url, into, sha256=sha256, hosts=hosts or Hosts(), progress=lines.append)
    return lines


@pytest.mark.parametrize("path", ["whole", "redirect"])
def test_a_file_with_the_right_sum_is_kept(server: str, tmp_path: Path, path: str) -> None:
    _fetch(f"{server}/{path}", tmp_path / "program")
    assert (tmp_path / "program").read_bytes() == CONTENT
    assert [entry.name for entry in tmp_path.iterdir()] == ["program"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [("corrupt", "is corrupt: its sha256"), ("missing", "answered 404"), ("short", f"1000 of {len(CONTENT)} bytes")],
)
def test_a_file_that_is_not_the_right_one_is_refused_and_removed(
    server: str, tmp_path: Path, path: str, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        _fetch(f"{server}/{path}", tmp_path / "program")
    assert list(tmp_path.iterdir()) == []


def test_over_tls_the_certificate_must_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = _certificate(tmp_path)
    with _serving(certificate) as url:
        with pytest.raises(Refused, match=r"cannot be reached \(.*certificate.*\); not asked again"):
            _fetch(f"{url}/whole", tmp_path / "program")
        assert not (tmp_path / "program").exists()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        _fetch(f"{url}/whole", tmp_path / "program")
    assert (tmp_path / "program").read_bytes() == CONTENT


def test_an_unreachable_host_is_asked_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    hosts = Hosts()
    with pytest.raises(
        Refused, match=rf"127\.0\.0\.1:{port} cannot be reached \(Connection refused\); not asked again"
    ):
        _fetch(f"http://127.0.0.1:{port}/a", tmp_path / "a", hosts)
    with pytest.raises(Refused, match="could not be reached before"):
        _fetch(f"http://127.0.0.1:{port}/b", tmp_path / "b", hosts)


def test_a_refused_file_does_not_condemn_its_host(server: str, tmp_path: Path) -> None:
    hosts = Hosts()
    with pytest.raises(Refused):
        _fetch(f"{server}/missing", tmp_path / "a", hosts)
    _fetch(f"{server}/whole", tmp_path / "a", hosts)


def test_a_resolver_that_hangs_costs_the_connect_timeout_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        released.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(fetching, "CONNECT_SECONDS", 0.05)
    started = time.monotonic()
    with pytest.raises(Refused, match="name not resolved"):
        _fetch("http://example.invalid/a", tmp_path / "a")
    assert time.monotonic() - started < 5
    released.set()


def test_all_addresses_of_a_host_share_the_connect_timeout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, socket.socket() as filler:
        # A full accept queue drops further connection attempts, as a filtered host does.
        filler.connect(silent.getsockname())
        more = [socket.socket() for _ in range(4)]
        for one in more:
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", silent.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address] * 40)
        monkeypatch.setattr(fetching, "CONNECT_SECONDS", 0.2)
        started = time.monotonic()
        with pytest.raises(Refused, match="cannot be reached"):
            _fetch("http://example.invalid/a", tmp_path / "a")
        assert time.monotonic() - started < 4
        for one in more:
            one.close()


def test_a_full_disk_is_one_line_and_leaves_nothing(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    real = Path.open

    def open_full(path: Path, mode: str = "r", *rest: object) -> object:
        real(path, mode).close()
        return Full()

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(
        EnvironmentFault, match=r"^disk full while fetching http.*free about 10 GiB.*XDG_CACHE_HOME[^\n]*$"
    ):
        _fetch(f"{server}/whole", tmp_path / "program")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("value", "allowed"), [("", True), ("0", True), ("1", False), ("yes", False)])
def test_downloads_are_turned_off_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, allowed: bool
) -> None:
    monkeypatch.setenv("KIP_NO_DOWNLOAD", value)
    assert downloads_allowed() is allowed


def test_one_member_is_taken_from_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "release.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("./release/bin/program")
        info.size = len(CONTENT)
        tar.addfile(info, io.BytesIO(CONTENT))
    extract_member(archive, "release/bin/program", tmp_path / "program")
    assert (tmp_path / "program").read_bytes() == CONTENT
    assert (tmp_path / "program").stat().st_mode & 0o777 == 0o755
    with pytest.raises(Refused, match=r"release\.tar\.gz has no other"):
        extract_member(archive, "other", tmp_path / "other")
