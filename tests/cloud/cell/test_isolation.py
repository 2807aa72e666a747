"""What a pod on a cell reaches of the machine under it, and with which address it is seen outside."""

from __future__ import annotations

import pytest
from kip_conformance.infra.lab.machine import LabMachine
from kip_conformance.infra.machines.packets import read_packets

from .streams import execute

CONNECT = (
    "import socket, sys\n"
    "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2); print('open')\n"
    "except OSError as error: print(type(error).__name__, error)\n"
)


@pytest.fixture(scope="module")
def pod(world):
    cell = world.cell()
    cell.agent.put(world.pod({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}))
    cell.running()
    yield cell
    world.end(cell.instance)


def connects(cell, address, port):
    return execute(cell.agent, "python3", "-c", CONNECT, address, str(port)).out.strip()


@pytest.mark.parametrize(
    ("address", "port"),
    [("169.254.169.254", 80), ("{own}", 6421), ("169.254.1.1", 6421), ("127.0.0.1", 6421)],
)
def test_the_agent_and_the_metadata_are_not_reached(pod, address, port):
    assert "open" not in connects(pod, address.format(own=pod.address), port)


def test_the_agent_of_another_cell_is_reached_and_wants_a_certificate(world, pod):
    other = world.cell()
    assert connects(pod, other.address, 6421) == "open"
    world.end(other.instance)


def test_nothing_of_the_machine_is_in_the_pods_files(pod):
    said = execute(pod.agent, "sh", "-c", "ls /run /var/lib 2>/dev/null; cat /proc/mounts").out

    assert "settings.json" not in said
    assert "keeper.sock" not in said
    assert not any(line.split()[1] == "/run/cell" for line in said.splitlines() if len(line.split()) > 3)


def test_the_pod_sees_its_own_processes_alone(pod):
    said = execute(pod.agent, "sh", "-c", "ls /proc | grep -E '^[0-9]+$' | wc -l").out

    assert int(said) < 10
    assert execute(pod.agent, "sh", "-c", "cat /proc/net/unix | wc -l").out.strip() == "1"


def test_a_pod_that_ruins_its_network_is_still_managed(pod):
    said = execute(pod.agent, "ip", "route", "flush", "table", "main")
    assert said.exit_code == 0

    assert execute(pod.agent, "echo", "here").out == "here\n"
    assert pod.agent.get("/v1/logs/c0").status == 200
    assert pod.agent.status()["status"]["phase"] == "Running"
    restore = (
        f"ip route add 169.254.1.1 dev veth1 scope link; ip route add default via 169.254.1.1 src {pod.pod_address}"
    )
    assert execute(pod.agent, "sh", "-c", restore).exit_code == 0


def test_a_pod_speaks_with_its_own_address_alone(world, pod):
    """Rules of the cell, seen by their counters: the packets with a foreign source were dropped there."""
    foreign = f"ip addr add 10.20.2.250/32 dev veth1; ping -c1 -W1 -I 10.20.2.250 {world.server_address}"
    execute(pod.agent, "sh", "-c", foreign)

    assert "counter packets 0" not in pod.run("nft", "list", "chain", "ip", "kip_cell", "from_pod")


def test_the_mtu_is_the_interfaces(pod):
    outside = pod.run("cat", "/sys/class/net/eth0/mtu").strip()

    assert execute(pod.agent, "cat", "/sys/class/net/veth1/mtu").out.strip() == outside
    assert pod.run("cat", "/sys/class/net/veth0/mtu").strip() == outside


KEPT = (
    *("10.99.0.1", "172.20.0.1", "192.168.9.1", "100.64.3.4"),
    "203.0.113.7",  # in vpc_cidrs of this cell
    "198.51.100.9",  # in its extra_cidrs
)
SEND = "import socket, sys; s = socket.socket(2, 2); [s.sendto(b'x', (one, 9)) for one in sys.argv[1:]]"


def test_what_goes_outside_is_masqueraded_and_nothing_else(world, special):
    """What leaves is seen on the wire; nothing of it has to be answered."""
    machine = LabMachine(special.instance, (special.address,), world.control)
    with machine.capture("udp and dst port 9", interface="eth0") as capture:
        execute(special.agent, "python3", "-c", SEND, *KEPT, "8.8.8.8")
        world.until(lambda: len(sources(capture.so_far())) > len(KEPT), "not all packets have left", within=10)

    assert sources(capture.so_far()) == dict.fromkeys(KEPT, special.pod_address) | {"8.8.8.8": special.address}


def sources(pcap):
    """Destination -> source of the packets; a capture that has just begun is not even a file yet."""
    return {one.destination: one.source for one in read_packets(pcap)} if pcap else {}


@pytest.fixture(scope="module")
def special(world):
    cell = world.cell(vpc_cidrs=("10.20.0.0/16", "203.0.113.0/24"), extra_cidrs=("198.51.100.0/24", "198.51.100.8/29"))
    cell.agent.put(world.pod())
    cell.running()
    yield cell
    world.end(cell.instance)


def test_a_pod_on_the_host_network_has_the_machines_address(world):
    cell = world.cell(has_pod_network=False)
    cell.agent.put(world.pod(hostNetwork=True))
    status = cell.running()

    assert status["podIP"] == cell.address
    assert f"inet {cell.address}/" in execute(cell.agent, "ip", "addr").out
    assert execute(cell.agent, "hostname").out == cell.run("hostname")
    world.end(cell.instance)


def test_a_pod_without_a_host_network_needs_an_address(world):
    cell = world.cell(has_pod_network=False)
    answer = cell.agent.put(world.pod())
    world.end(cell.instance)

    assert answer.status == 400
    assert answer.error.startswith("spec.hostNetwork: ")
