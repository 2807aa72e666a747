"""The web server with the agent, as a process on loopback; and the credentials of a private image."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import subprocess
import threading
import urllib.error
import urllib.request

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.workloads.agent_server import AgentOffer, agent_server
from kip_conformance.infra.workloads.private_image import PrivateImage


class Held:
    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.stdin, self.stdout = self.process.stdin.fileno(), self.process.stdout.fileno()

    def close(self):
        self.process.kill()
        self.process.communicate()


class Machine:
    name, addresses = "node-a", ("127.0.0.1",)

    def open(self, argv):
        return Held(argv)


@pytest.fixture
def offer(tmp_path):
    """The agent at a web server of this process."""
    (tmp_path / "itzo-1").write_bytes(b"the agent")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield AgentOffer(f"http://127.0.0.1:{server.server_address[1]}", "1", "")
        server.shutdown()


@pytest.mark.parametrize(("altered", "content"), [(False, b"the agent"), (True, b"the agent\n")])
def test_the_agent_is_served_as_it_is_or_altered_and_clients_are_remembered(offer, altered, content):
    with agent_server(Machine(), offer, altered=altered) as server:
        assert server.clients() == frozenset()
        assert urllib.request.urlopen(f"{server.url}/itzo-1", timeout=5).read() == content
        assert server.clients() == {"127.0.0.1"}
        assert server.clients() == {"127.0.0.1"}


def test_the_agent_is_served_as_another_version(offer):
    with agent_server(Machine(), offer, version="2") as server:
        assert urllib.request.urlopen(f"{server.url}/itzo-2", timeout=5).read() == b"the agent"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{server.url}/itzo-1", timeout=5)


def test_a_machine_that_cannot_fetch_the_agent_is_an_error_of_the_harness(offer):
    absent = AgentOffer(offer.url, "2", "")
    with (
        pytest.raises(HarnessError, match="node-a: no web server with the agent from http://127"),
        agent_server(Machine(), absent),
    ):
        pass


def test_a_pull_secret_names_the_host_and_the_login():
    image = PrivateImage("registry:5000/team/app:1", "AWS", "word", "profile")
    secret = image.secret("right", "ns")

    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    told = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert told == {"auths": {"registry:5000": {"auth": base64.b64encode(b"AWS:word").decode()}}}
