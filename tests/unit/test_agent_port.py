"""What is read of the answer at a TLS port: by a pod that is this process, and servers on loopback."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import subprocess
import threading

import pytest
from kip_conformance.infra.certificates import new_authority
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.workloads.agent_port import REFUSED, UNAUTHORIZED, foreign_identity, knock
from kip_conformance.infra.workloads.reading import Ran

DAY = datetime.timedelta(days=1)


class Here:
    """The place's pod is this machine."""

    def run(self, _place, argv):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return Ran(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def place():
    class Place:
        name = "here"

    return Place()


@contextlib.contextmanager
def serving(tmp_path, answer, *, asks):
    authority = new_authority("ours", lifetime=DAY)
    own = authority.issue("server", lifetime=DAY, names=["127.0.0.1"])
    for name, text in (("chain", own.pem + own.key_pem), ("ca", authority.pem)):
        (tmp_path / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain")
    context.load_verify_locations(tmp_path / "ca")
    context.verify_mode = asks

    def serve():
        with contextlib.suppress(OSError):
            plain, _ = listener.accept()
            with plain, contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(1000)
                secured.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
    thread.join()


@pytest.mark.parametrize(
    ("asks", "answer", "said"),
    [
        (ssl.CERT_REQUIRED, b"HTTP/1.1 200 OK\r\n\r\n", REFUSED),
        (ssl.CERT_OPTIONAL, b"HTTP/1.1 401 Unauthorized\r\n\r\n", UNAUTHORIZED),
        (ssl.CERT_OPTIONAL, b"HTTP/1.1 200 OK\r\n\r\n", str(b"HTTP/1.1 200 OK\r\n\r\n")),
        (ssl.CERT_NONE, b"", REFUSED),
    ],
)
def test_a_client_without_a_certificate_hears(tmp_path, place, asks, answer, said):
    with serving(tmp_path, answer, asks=asks) as port:
        assert knock(Here(), place, "127.0.0.1", port=port, path="/pods") == said


def test_a_foreign_certificate_is_refused_where_none_is_needed(tmp_path, place):
    with serving(tmp_path, b"HTTP/1.1 200 OK\r\n\r\n", asks=ssl.CERT_OPTIONAL) as port:
        assert knock(Here(), place, "127.0.0.1", foreign_identity(), port=port) == REFUSED


def test_no_connection_is_an_error_of_the_harness(place):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(HarnessError, match=f"here: no connection to 127.0.0.1:{port}"):
        knock(Here(), place, "127.0.0.1", port=port)
