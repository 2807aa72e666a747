"""gRPC probes against a server that says what a test wants; a real one is asked in tests/cloud/cell."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from kip_conformance.infra.cell.grpc_health import ask_grpc, request_bytes

SETTINGS = bytes.fromhex("000000 04 00 00000000")
ACK = bytes.fromhex("000000 04 01 00000000")
HEADERS = bytes.fromhex("000001 01 04 00000001 88")  # :status 200
TRAILERS = bytes.fromhex("000001 01 05 00000001 88")
PING = bytes.fromhex("000008 06 00 00000000 0102030405060708")


def answer(message: str, *, flags: str = "00") -> bytes:
    """A DATA frame with a gRPC message, given in hexadecimal."""
    data = bytes.fromhex(message)
    body = b"\0" + len(data).to_bytes(4) + data
    return len(body).to_bytes(3) + b"\0" + bytes.fromhex(flags) + bytes.fromhex("00000001") + body


class Server:
    """Answers one connection with bytes, in these pieces; `heard` is what came until the client was gone."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self._heard = bytearray()
        self._thread: threading.Thread | None = None

    def says(self, *pieces: bytes, closes: bool = True) -> int:
        """Returns its port."""
        self._thread = threading.Thread(target=self._serve, args=(pieces, closes), daemon=True)
        self._thread.start()
        return self.port

    def heard(self) -> bytes:
        assert self._thread is not None
        self._thread.join(10)
        return bytes(self._heard)

    def _serve(self, pieces: tuple[bytes, ...], closes: bool) -> None:
        connection, _ = self.listener.accept()
        with connection, contextlib.suppress(ConnectionError):
            self._heard += connection.recv(65536)
            for piece in pieces:
                connection.sendall(piece)
            if closes:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                self._heard += part


@pytest.fixture
def server():
    made = Server()
    yield made
    made.listener.close()


def test_what_is_sent_is_what_the_specifications_say():
    sent = request_bytes("10.20.2.7:50051", "a")

    assert sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS)
    size = int.from_bytes(sent[33:36])
    assert sent[36:42] == bytes.fromhex("01 04 00000001")  # HEADERS, END_HEADERS, stream 1
    assert sent[42 : 42 + size] == (
        b"\x83\x86"
        + b"\x04\x1c/grpc.health.v1.Health/Check"
        + b"\x01\x0f10.20.2.7:50051"
        + b"\x0f\x10\x10application/grpc"
        + b"\x00\x02te\x08trailers"
        + b"\x0f\x2b\x0ekube-probe/1.0"
    )
    assert sent[42 + size :] == bytes.fromhex("000008 00 01 00000001 00 00000003 0a0161")


def test_the_service_has_no_name_unless_it_is_given_one():
    assert request_bytes("a:1", "").endswith(bytes.fromhex("000005 00 01 00000001 00 00000000"))


@pytest.mark.parametrize("length", [1, 126, 127, 300])
def test_a_long_authority_is_written_with_its_length(length):
    sent = request_bytes("x" * length, "")
    head = {1: "01", 126: "7e", 127: "7f00", 300: "7fad01"}[length]

    assert b"\x01" + bytes.fromhex(head) + b"x" * length + b"\x0f\x10" in sent


@pytest.mark.parametrize(
    ("pieces", "is_good", "why"),
    [
        pytest.param((SETTINGS + ACK + HEADERS + answer("0801") + TRAILERS,), True, "", id="serving"),
        pytest.param(
            (SETTINGS[:4], SETTINGS[4:] + HEADERS, answer("0801")[:7], answer("0801")[7:]), True, "", id="bits"
        ),
        pytest.param((SETTINGS + PING + HEADERS + answer("0801"),), True, "", id="ping-first"),
        pytest.param((SETTINGS + HEADERS + answer("0802"),), False, "it answered NOT_SERVING", id="not-serving"),
        pytest.param((SETTINGS + HEADERS + answer("", flags="01"),), False, "it answered UNKNOWN", id="unknown"),
        pytest.param((SETTINGS + TRAILERS,), False, "an error instead of a status", id="trailers-only"),
        pytest.param((SETTINGS + HEADERS + answer("ff"),), False, "no HealthCheckResponse", id="another-message"),
        pytest.param((bytes.fromhex("000004 03 00 00000001 00000007"),), False, "error 7", id="reset"),
        pytest.param((bytes.fromhex("000008 07 00 00000000 00000000 00000000"),), False, "ended the", id="goaway"),
        pytest.param((b"HTTP/1.1 400 Bad Request\r\n\r\n",), False, "speaks no HTTP/2", id="http-1"),
        pytest.param((SETTINGS,), False, "closed the connection", id="closed"),
    ],
)
def test_answers(server, pieces, is_good, why):
    found, said = ask_grpc("127.0.0.1", {"port": server.says(*pieces)}, 5.0)

    assert found is is_good
    assert why in said
    assert "\n" not in said


def test_padding_is_taken_off(server):
    padded = bytes.fromhex("00000b 00 08 00000001 03 00 00000002 0801 000000")

    assert ask_grpc("127.0.0.1", {"port": server.says(HEADERS + padded)}, 5.0) == (True, "")


def test_settings_and_pings_are_answered(server):
    assert ask_grpc("127.0.0.1", {"port": server.says(SETTINGS + PING + HEADERS + answer("0801"), closes=False)}, 5.0)[
        0
    ]
    heard = server.heard()

    assert ACK in heard
    assert bytes.fromhex("000008 06 01 00000000 0102030405060708") in heard


def test_silence_is_no_answer_in_time(server):
    found, said = ask_grpc("127.0.0.1", {"port": server.says(SETTINGS, closes=False)}, 0.1)

    assert (found, "within 0.1 s" in said) == (False, True)


def test_a_closed_port_is_said():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ask_grpc("127.0.0.1", {"port": port}, 1.0) == (False, f"gRPC 127.0.0.1:{port}: connection refused")
