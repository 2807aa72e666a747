"""Probes: thresholds, and what their answers are."""

from __future__ import annotations

import socket
import threading

import pytest
from kip_conformance.infra.cell.probes import Counter, ProbeSpec, ask_http, ask_tcp, port_of
from kip_conformance.infra.cell.problems import CellProblem


@pytest.mark.parametrize(
    ("probe", "answers", "results"),
    [
        ({}, "+", [True]),
        ({}, "--+", [None, None, True]),
        ({}, "---", [None, None, False]),
        ({"failureThreshold": 1}, "+-+", [True, False, True]),
        ({"successThreshold": 2}, "+++", [None, True, True]),
        ({"failureThreshold": 2}, "+-+--", [True, True, True, True, False]),
    ],
)
def test_a_result_changes_after_as_many_answers_as_were_asked_for(probe, answers, results):
    counter, found = Counter(ProbeSpec.of("readiness", probe)), []
    for answer in answers:
        counter.add(answer == "+")
        found.append(counter.result)

    assert found == results


def test_failures_that_go_on_are_told_again():
    counter = Counter(ProbeSpec.of("liveness", {"failureThreshold": 2}))
    assert [counter.add(False) for _ in range(4)] == [False, True, True, True]


def test_defaults_are_the_apis():
    spec = ProbeSpec.of("liveness", {})
    assert (spec.delay, spec.period, spec.timeout, spec.successes, spec.failures) == (0, 10, 1, 1, 3)


@pytest.fixture
def server():
    """Answers each connection with what the test puts into `said`."""
    listener = socket.create_server(("127.0.0.1", 0))
    said, heard = [b""], []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                heard.append(connection.recv(4096))
                connection.sendall(said[0])

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], said, heard
    listener.close()


@pytest.mark.parametrize(
    ("answer", "is_good", "why"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, ""),
        (b"HTTP/1.0 302 Found\r\n\r\n", True, ""),
        (b"HTTP/1.1 503 No\r\n\r\n", False, "HTTP probe failed with statuscode: 503"),
        (b"what\r\n", False, "malformed HTTP response"),
        (b"", False, "malformed HTTP response"),
    ],
)
def test_http(server, answer, is_good, why):
    port, said, heard = server
    said[0] = answer
    what = {"path": "/healthz", "httpHeaders": [{"name": "X-A", "value": "b"}]}
    found, message = ask_http("127.0.0.1", what, port, 5.0)

    assert found is is_good
    assert why in message
    assert heard[0].startswith(b"GET /healthz HTTP/1.1\r\n")
    assert b"\r\nX-A: b\r\n" in heard[0]


def test_a_closed_port_is_said():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ask_tcp("127.0.0.1", port, 1.0) == (False, f"dial tcp 127.0.0.1:{port}: connect: connection refused")
    assert "connection refused" in ask_http("127.0.0.1", {}, port, 1.0)[1]


def test_ports_by_name():
    container = {"ports": [{"name": "web", "containerPort": 80}]}
    assert (port_of("web", container), port_of(8, container), port_of("9", container)) == (80, 8, 9)
    with pytest.raises(CellProblem, match="couldn't find port: x"):
        port_of("x", container)
