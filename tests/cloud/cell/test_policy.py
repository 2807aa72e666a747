"""Policies on a cell, by packets: what may reach the pod and what it may reach, from its first instruction on."""

from __future__ import annotations

import pytest

from .streams import execute

WEB = 8000
"""A port of the machine `server`."""
SERVES = (
    "import http.server as h, socket, sys, threading as t\n"
    "try: socket.create_connection((sys.argv[1], 8000), 1); print('first: open', flush=True)\n"
    "except OSError as error: print('first:', error, flush=True)\n"
    "for port in (8081, 8080):\n"
    "    t.Thread(target=h.HTTPServer(('', port), h.SimpleHTTPRequestHandler).serve_forever).start()\n"
)
ASK = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"
GET = (
    "import socket, sys; made = socket.create_connection((sys.argv[1], 8080), 2); "
    "made.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(made.recv(100).decode())"
)


def allow(address="", *ports, cidr="", left_out=()):
    blocks = [{"cidr": cidr, "except": list(left_out)}] if cidr else []
    peers = {"addresses": [address] if address else [], "blocks": blocks} if address or cidr else None
    numbers = [{"protocol": "TCP", "port": port, "endPort": None} for port in ports]
    return {"peers": peers, "ports": numbers or None}


@pytest.fixture(scope="module")
def pod(world):
    """A pod that begins with everything denied, and is ready by a probe of its port."""
    cell = world.cell()
    probe = {"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
    serves = {"command": ["python3", "-c", SERVES, world.server_address], **probe}
    answer = cell.agent.put(world.pod(serves), policy={"ingress": [], "egress": []})
    assert answer.status == 202, answer
    cell.ready()
    yield cell
    world.end(cell.instance)


@pytest.fixture
def police(pod):
    """Put another policy in force; afterwards everything is denied again."""

    def told(ingress, egress):
        answer = pod.agent.ask("PUT", "/v1/policy", {"ingress": ingress, "egress": egress})
        assert answer.status == 202, answer

    yield told
    told([], [])


def is_reached(world, pod, port=8080):
    """By the machine `server`."""
    argv = ["/usr/bin/python3", "-c", ASK, pod.pod_address, str(port)]
    return world.control.run(argv, machine=world.server).returncode == 0


def reaches(world, pod, port=WEB):
    return execute(pod.agent, "python3", "-c", ASK, world.server_address, str(port)).exit_code == 0


def test_a_pod_that_is_denied_everything_is_still_probed_and_spoken_to_by_its_node(world, pod):
    assert not is_reached(world, pod)
    assert not reaches(world, pod)
    assert execute(pod.agent, "echo", "still here").out == "still here\n"


def test_its_first_packet_was_judged(pod):
    assert pod.agent.get("/v1/logs/c0").body.startswith(b"first: timed out")


def test_directions_are_judged_apart(world, pod, police):
    police(None, [])
    assert is_reached(world, pod)
    assert not reaches(world, pod)
    police([], None)
    assert not is_reached(world, pod)
    assert reaches(world, pod)


def test_ports_and_addresses(world, pod, police):
    police([allow(world.server_address, 8081)], [allow(world.server_address, WEB + 1)])
    assert not is_reached(world, pod)
    assert is_reached(world, pod, 8081)
    assert not reaches(world, pod)
    police([allow("10.20.3.99"), allow("", 8080)], [allow("10.20.3.99"), allow("", WEB)])
    assert is_reached(world, pod)
    assert not is_reached(world, pod, 8081)
    assert reaches(world, pod)


def test_blocks_and_what_they_leave_out(world, pod, police):
    own = f"{world.server_address}/32"
    police([allow(cidr="0.0.0.0/0")], [allow(cidr="10.20.0.0/16")])
    assert is_reached(world, pod)
    assert reaches(world, pod)
    police([allow(cidr="0.0.0.0/0", left_out=[own])], [allow(cidr="10.20.0.0/16", left_out=["10.9.0.0/16", own])])
    assert not is_reached(world, pod)
    assert not reaches(world, pod)


def test_an_answer_needs_no_rule_of_its_own(world, pod, police):
    police([allow(world.server_address, 8080)], [])
    done = world.control.run(["/usr/bin/python3", "-c", GET, pod.pod_address], machine=world.server)
    assert done.stdout.startswith(b"HTTP/1.0 200")


def test_without_policies_there_is_no_table(pod, police):
    police([], [])
    assert "kip_policy" in pod.run("nft", "list", "tables")
    police(None, None)
    assert "kip_policy" not in pod.run("nft", "list", "tables")


def test_policies_outlive_the_agent(world, pod, police):
    police([], None)
    pod.run("pkill", "-9", "-f", "settings.json agent$")
    world.until(pod.answers, "the agent does not come back")
    assert not is_reached(world, pod)
    assert reaches(world, pod)


def test_what_is_no_policy_is_one_line_and_changes_nothing(world, pod):
    answer = pod.agent.ask("PUT", "/v1/policy", {"ingress": [{"peers": None}], "egress": None})

    assert answer.status == 400
    assert answer.error.startswith("policy: ")
    assert not is_reached(world, pod)
