"""HostPorts: the provider's machine answers for pods on cells, from wherever it is asked, as long as they are there."""

from __future__ import annotations

import itertools
import signal

import pytest

MACHINE, ADDRESS, OTHER = "node-a", "10.20.1.11", "node-b"
_NUMBERS = itertools.count(31000)
ASK = """
import socket, sys
protocol, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
with socket.socket(socket.AF_INET, kind) as client:
    client.settimeout(2)
    client.connect((address, port))
    if protocol == "udp":
        client.send(b"hello")
    print(client.recv(100).decode())
"""


@pytest.fixture
def port() -> int:
    return next(_NUMBERS)


def ports(*wanted: dict) -> list[dict]:
    return [{"name": "main", "image": "none", "ports": list(wanted)}]


def ask(world, machine: str, port: int, *, address: str = ADDRESS, protocol: str = "tcp") -> str:
    """What is answered; empty for nothing."""
    done = world.control.run(["/usr/bin/python3", "-I", "-c", ASK, protocol, address, str(port)], machine=machine)
    return done.stdout.decode().strip()


def answers(world, pod, machine: str, port: int, **where: str) -> None:
    """Until the pod answers, through this machine's own address."""
    name = pod["metadata"]["name"]
    world.until(lambda: ask(world, machine, port, **where).split(" ")[0] == name, f"{name} does not answer {machine}")


def table(world) -> str:
    return world.control.run(["nft", "list", "ruleset"], machine=MACHINE).stdout.decode()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_host_port_answers_other_machines_and_this_one_and_is_gone_with_the_pod(world, port, protocol):
    wanted = {"containerPort": 8080, "hostPort": port, "protocol": protocol.upper()}
    pod = world.pod(containers=ports(wanted))
    world.wait_running(pod)

    answers(world, pod, OTHER, port, protocol=protocol)
    assert ask(world, OTHER, port, protocol=protocol).endswith(ADDRESS)
    answers(world, pod, MACHINE, port, protocol=protocol)
    answers(world, pod, MACHINE, port, address="127.0.0.1", protocol=protocol)
    world.delete(pod)
    world.until(lambda: str(port) not in table(world), "a rule is left")
    assert ask(world, OTHER, port, protocol=protocol) == ""
    assert str(port) not in world.control.run(["ss", "-lntu"], machine=MACHINE).stdout.decode()


def test_a_host_ip_is_honoured(world, port):
    pod = world.pod(containers=ports({"containerPort": 8080, "hostPort": port, "hostIP": "127.0.0.1"}))
    world.wait_running(pod)

    answers(world, pod, MACHINE, port, address="127.0.0.1")
    assert ask(world, MACHINE, port) == ""
    assert ask(world, OTHER, port) == ""
    world.delete(pod)


def test_one_port_with_two_host_ips_leads_to_two_pods(world, port):
    here = world.pod(containers=ports({"containerPort": 8080, "hostPort": port, "hostIP": "127.0.0.1"}))
    there = world.pod(containers=ports({"containerPort": 8080, "hostPort": port, "hostIP": ADDRESS}))
    world.wait_running(here, there)

    answers(world, here, MACHINE, port, address="127.0.0.1")
    answers(world, there, OTHER, port)
    world.delete(here, there)


def test_the_second_of_two_pods_is_told_and_gets_the_port_when_it_is_free(world, port):
    wanted = ports({"containerPort": 8080, "hostPort": port})
    first = world.pod(containers=wanted)
    world.wait_running(first)
    answers(world, first, OTHER, port)
    second = world.pod(containers=wanted)
    world.wait_running(second)

    world.wait_event(second, "HostPortConflict", first["metadata"]["name"])
    answers(world, first, OTHER, port)
    world.delete(first)
    answers(world, second, OTHER, port)
    world.delete(second)


def test_a_port_that_another_program_has_is_said_and_taken_when_it_is_free(world, port):
    listen = f"import socket, time; s = socket.create_server(('', {port})); print(1, flush=True); time.sleep(600)"
    held = world.control.open(["/usr/bin/python3", "-I", "-c", listen], machine=MACHINE)
    world.until(lambda: f":{port}" in world.control.run(["ss", "-lnt"], machine=MACHINE).stdout.decode(), "no listener")
    pod = world.pod(containers=ports({"containerPort": 8080, "hostPort": port}))
    world.wait_event(pod, "HostPortConflict", "Address already in use")
    held.close()

    answers(world, pod, OTHER, port)
    world.delete(pod)


def test_a_pod_of_the_kubelet_node_on_the_same_machine_counts_too(world, port):
    wanted = ports({"containerPort": 8080, "hostPort": port})
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": MACHINE},
        "status": {"addresses": [{"type": "InternalIP", "address": ADDRESS}]},
    }
    world.api.create(node)
    world.api.patch("Node", MACHINE, {"status": node["status"]}, subresource="status")
    neighbour = world.pod(containers=wanted, nodeName=MACHINE)
    pod = world.pod(containers=wanted)
    try:
        world.wait_event(pod, "HostPortConflict", neighbour["metadata"]["name"])
        assert ask(world, OTHER, port) == ""
        world.api.delete("Pod", neighbour["metadata"]["name"], "default", grace=0)
        answers(world, pod, OTHER, port)
        world.delete(pod)
    finally:
        world.api.delete("Node", MACHINE)


def test_mappings_follow_a_replaced_cell_and_a_restarted_provider_and_are_repaired(world, port):
    pod = world.pod(containers=ports({"containerPort": 8080, "hostPort": port}))
    (before,) = world.wait_running(pod)
    answers(world, pod, OTHER, port)
    (instance,) = world.instances(pod)
    world.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    world.until(lambda: world.status(pod).get("podIP") not in (None, before["podIP"]), "it is not replaced")

    answers(world, pod, OTHER, port)
    assert before["podIP"] + ":" not in table(world)
    world.kill_provider(signal.SIGKILL)
    answers(world, pod, OTHER, port)
    world.control.run(["nft", "delete", "table", "ip", "kip-host-ports"], machine=MACHINE)
    world.start_provider()
    answers(world, pod, OTHER, port)
    world.control.run(["nft", "delete", "table", "ip", "kip-host-ports"], machine=MACHINE)
    answers(world, pod, OTHER, port)
    world.kill_provider(signal.SIGKILL)
    world.api.delete("Pod", pod["metadata"]["name"], "default", grace=0)
    world.start_provider()
    world.until(lambda: str(port) not in table(world), "a rule is left")
