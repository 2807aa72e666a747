"""The lab's site on premises without a cluster: who reaches whom through the VPN, and with which source."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from kip_conformance.infra.cloud.outside import Outside
from kip_conformance.infra.cloud.realize.machines import prepare_machine
from kip_conformance.infra.cloud.start import ec2_client, start_cloud
from kip_conformance.infra.lab.attempts import Attempts
from kip_conformance.infra.lab.interconnect import connect_site
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, ON_PREM_HOST, ON_PREM_NODE, PLAN
from kip_conformance.infra.lab.residents import PORTS, prober_command
from kip_conformance.infra.lab.site import join_pods, with_site
from kip_conformance.infra.lab.vpc import make_vpc, wait_running
from kip_conformance.infra.probe import prober

POD, OTHER_POD, SITE_POD = "10.244.1.9", "10.244.2.9", "10.250.0.9"
"""Addresses of pods, on the loopback of the machines that their ranges lead to."""

_SERVE = """
import socket
server = socket.create_server(("", 7000))
print("ready", flush=True)
while True:
    with server.accept()[0] as one:
        one.sendall(one.getpeername()[0].encode())
"""
_ASK = """
import socket, sys
source, to = sys.argv[1:3]
try:
    with socket.create_connection((to, int(sys.argv[3])), timeout=3, source_address=(source, 0)) as one:
        print(one.recv(64).decode() if sys.argv[3] == "7000" else "open", end="")
except OSError as error:
    print(type(error).__name__, end="")
"""


@pytest.fixture(scope="module")
def site(supervised):
    """The lab's nodes and its site, with a server on each that says who asked; no cluster."""
    with supervised() as control:
        for node in (CONTROL_PLANE, *NODES):
            prepare_machine(control.folder, node.name, {})
        command = prober_command(Path(prober.__file__).resolve(), ON_PREM_HOST.name, "plain")
        ec2 = ec2_client(start_cloud(control, with_site(Outside(), PLAN, command, {})))
        vpc = make_vpc(ec2, PLAN)
        connect_site(ec2, PLAN, vpc)
        wait_running(control, ec2, vpc.instances, within=60)
        until(lambda: {ON_PREM_NODE.name, ON_PREM_HOST.name} <= set(control.status()["machines"]))
        join_pods(control, PLAN)
        for machine, address in ((NODES[0].name, POD), (NODES[1].name, OTHER_POD), (ON_PREM_NODE.name, SITE_POD)):
            assert control.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], machine=machine).returncode == 0
            control.daemon("who", [sys.executable, "-I", "-c", _SERVE], machine=machine)
        until(lambda: all("ready" in control.log_of(one, "who").read_text() for one in (NODES[1].name, "on-prem-node")))
        yield control


def until(is_so, *, within: float = 60.0) -> None:
    attempts = Attempts(within=within)
    while not is_so():
        assert not attempts.over(), "it is not so"
        attempts.pause()


def ask(control, machine: str, source: str, to: str, port: int = 7000) -> str:
    """What the server says of the source that it saw, or how the attempt failed."""
    argv = [sys.executable, "-I", "-c", _ASK, source, to, str(port)]
    return control.run(argv, machine=machine).stdout.decode()


@pytest.mark.parametrize(
    ("machine", "source", "to"),
    [
        ("node-a", POD, SITE_POD),
        ("on-prem-node", SITE_POD, POD),
        ("on-prem-node", SITE_POD, OTHER_POD),
        ("node-b", OTHER_POD, ON_PREM_NODE.address),
        ("on-prem-node", ON_PREM_NODE.address, POD),
        ("node-a", NODES[0].address, SITE_POD),
        ("on-prem-node", SITE_POD, NODES[1].address),
        ("control-plane", CONTROL_PLANE.address, SITE_POD),
        ("on-prem-host", ON_PREM_HOST.address, POD),
        ("on-prem-host", ON_PREM_HOST.address, SITE_POD),
        ("on-prem-host", ON_PREM_HOST.address, NODES[0].address),
    ],
    ids=str,
)
def test_pods_and_nodes_of_both_sides_reach_each_other_untranslated(site, machine, source, to):
    assert ask(site, machine, source, to) == source


@pytest.mark.parametrize(("machine", "source"), [("node-a", POD), ("node-b", NODES[1].address)])
def test_the_sites_plain_host_is_reached_at_its_prober(site, machine, source):
    assert ask(site, machine, source, ON_PREM_HOST.address, PORTS["plain"][0]) == "open"
