"""kubectl port-forward to a pod of the virtual node: by websocket, and by SPDY as older clients and servers have it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

BY = {"websocket": "true", "spdy": "false"}


@pytest.fixture(scope="module")
def pod(world):
    """Port 8080 tells the pod's name, 8081 echoes, nothing listens on 9000."""
    ports = [{"containerPort": 8080}, {"containerPort": 8081, "name": "echo"}]
    pod = world.pod(containers=[{"name": "main", "image": "none", "ports": ports}])
    world.wait_running(pod)
    yield pod
    world.delete(pod)


@pytest.fixture(params=list(BY))
def forward(request, world, pod):
    """kubectl forwards a port until the end of the block: a function to open a connection, and kubectl itself."""

    @contextlib.contextmanager
    def forwarding(port: int) -> Iterator[tuple[int, subprocess.Popen[str]]]:
        command = [str(world.tools["kubectl"]), "--kubeconfig", str(world.control.folder.kubeconfig), "port-forward"]
        command += ["--address", "127.0.0.1", pod["metadata"]["name"], f":{port}"]
        env = {**os.environ, "KUBECTL_PORT_FORWARD_WEBSOCKETS": BY[request.param]}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as kubectl:
            try:
                found = re.search(r"127\.0\.0\.1:(\d+) -> ", kubectl.stdout.readline())
                if found is None:
                    kubectl.kill()
                    pytest.fail(kubectl.stderr.read())
                yield int(found[1]), kubectl
            finally:
                kubectl.send_signal(signal.SIGINT)

    return forwarding


def ask(port: int, data: bytes = b"") -> bytes:
    """Send, say that nothing more comes, and read to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as made:
        if data:
            threading.Thread(target=_send, args=(made, data), daemon=True).start()
        with made.makefile("rb") as said:
            return said.read()


def _send(made: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        made.sendall(data)
        made.shutdown(socket.SHUT_WR)


def test_a_connection_reaches_the_pod(forward, pod):
    with forward(8080) as (port, _):
        assert ask(port).decode().split()[0] == pod["metadata"]["name"]
        assert ask(port).decode().split()[0] == pod["metadata"]["name"]


def test_what_is_sent_arrives_whole_and_so_does_the_answer(forward):
    """The end of what the client says is passed on, and the answer that follows it."""
    data = bytes(range(97, 123)) * 80_000
    with forward(8081) as (port, _):
        assert ask(port, data) == data.upper()


def test_many_connections_at_once_do_not_mix(forward):
    with forward(8081) as (port, _):
        given = [f"connection {number} ".encode() * 5000 for number in range(20)]
        with ThreadPoolExecutor(20) as threads:
            assert list(threads.map(lambda one: ask(port, one), given)) == [one.upper() for one in given]


def test_a_port_where_nothing_listens_is_said_so(forward):
    with forward(9000) as (port, kubectl):
        assert ask(port) == b""
        assert kubectl.wait(timeout=20) == 1
        said = kubectl.stderr.read()

    assert "error forwarding port 9000 to pod" in said
    assert "refused" in said.lower()
