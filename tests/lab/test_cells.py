"""A kept lab with cells, used with an unmodified kubectl; what is on the wire; what a deleted pod leaves."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from kip_conformance.infra.cloud.start import ec2_client
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.residents import NAMESPACE
from kip_conformance.infra.lab.state import LabFolder, new_run_id
from kip_conformance.infra.machines.packets import read_packets
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.protocol import ClusterDescription

from .conftest import assert_nothing_left

LIVING = {"Name": "instance-state-name", "Values": ["pending", "running", "shutting-down", "stopping", "stopped"]}
SERVE = "import http.server as h; h.HTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"


def kip(*arguments: str) -> None:
    program = Path(sys.executable).with_name("kip-conformance")
    # The first time, a lab's programs are built.
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def lab():
    run_id = new_run_id()
    kip("up", "--run", run_id, "--places", "cell-a")
    yield LabCluster(ClusterDescription.from_json(LabFolder.of(run_id).description.read_text()))
    kip("clean", "--run", run_id)
    assert_nothing_left(run_id)


@pytest.fixture
def kubectl(lab):
    command = [lab.description.details["kubectl"], "--kubeconfig", lab.description.kubeconfig]

    def run(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [*command, *arguments], input=stdin, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def web(lab, kubectl):
    """A pod that `kubectl run` has started on the virtual node, with the toleration that its taint asks for."""
    image = lab.description.details["prober-image"]
    wish = {"spec": {"nodeSelector": {"type": "virtual-kubelet"}, "tolerations": [{"operator": "Exists"}]}}
    command = ["--command", "--", "python3", "-u", "-c", f"print('here I am', flush=True); {SERVE}"]
    kubectl("run", "web", "--image", image, "--port", "8080", f"--overrides={json.dumps(wish)}", *command)
    kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    yield json.loads(kubectl("get", "pod", "web", "-o", "json"))
    kubectl("delete", "pod", "web", "--ignore-not-found", "--grace-period=1")


def test_kubectl_does_its_everyday_work(lab, kubectl, web):
    instance, addresses = instance_of(lab, web["status"]["podIP"])
    assert instance
    assert len(addresses) == 2
    row = kubectl("get", "pod", "web", "-o", "wide").splitlines()[1].split()
    assert (row[1], row[2]) == ("1/1", "Running")
    assert {web["status"]["podIP"], "kip-node"} <= set(row)
    assert "here I am" in kubectl("logs", "web")
    assert web["status"]["podIP"] in kubectl("exec", "web", "--", "ip", "-4", "addr")
    assert kubectl("exec", "-i", "web", "--", "cat", stdin="through\n") == "through\n"
    assert "CellCreated" in kubectl("describe", "pod", "web")
    assert "virtual-kubelet" in kubectl("describe", "node", "kip-node")
    kubectl("label", "pod", "web", "app=web")
    kubectl("expose", "pod", "web", "--port=80", "--target-port=8080", "--name=web", "--selector=app=web")
    try:
        ask = "import urllib.request as u; print(u.urlopen('http://web.default', timeout=2).status)"
        command = ["exec", "-n", NAMESPACE, "node-a", "--", "python3", "-c", ask]
        eventually(lambda: answered(lambda: kubectl(*command)), lambda said: said == "200\n", within=30)
    finally:
        kubectl("delete", "service", "web")


def test_podip_is_on_the_wire_from_a_cell_to_a_nodes_pod(lab):
    """Both ends of a connection, seen where the packets reach the node and where they leave the cell."""
    places = {place.name: place for place in lab.places}
    cell, pod = places["cell-a"], places["node-b"]
    wanted = f"tcp and host {pod.address} and port 8080"
    with (
        lab.machines[pod.machine].capture(wanted, interface="eth0") as at_node,
        lab.machines[cell.machine].capture(wanted, interface="eth0") as at_cell,
        lab.driver() as driver,
    ):
        assert driver.all((cell,), (pod,), "tcp")[cell.name, pod.name].seen_source == cell.address
        for capture in (at_node, at_cell):
            eventually(lambda capture=capture: ends(capture.so_far()), lambda seen: len(seen) == 2, within=10)
    assert (
        ends(at_node.so_far()) == ends(at_cell.so_far()) == {(cell.address, pod.address), (pod.address, cell.address)}
    )


def test_a_deleted_pod_leaves_nothing_in_the_cloud(lab, kubectl, web):
    ec2 = ec2_client(lab.description.details["cloud-api"])
    instance, _ = instance_of(lab, web["status"]["podIP"])
    kubectl("delete", "pod", "web", "--grace-period=1")

    def living():
        found = ec2.describe_instances(InstanceIds=[instance], Filters=[LIVING])["Reservations"]
        own = [{"Name": "attachment.instance-id", "Values": [instance]}]
        return found or ec2.describe_network_interfaces(Filters=own)["NetworkInterfaces"]

    eventually(living, lambda seen: not seen, within=30)
    assert instance not in " ".join(lab.control.status()["machines"])
    assert KubeApi(Path(lab.description.kubeconfig)).find("Pod", "web", "default") is None


def instance_of(lab, address: str) -> tuple[str, set[str]]:
    """The instance that has the address, and all of its private addresses."""
    filters = [{"Name": "addresses.private-ip-address", "Values": [address]}]
    (interface,) = ec2_client(lab.description.details["cloud-api"]).describe_network_interfaces(Filters=filters)[
        "NetworkInterfaces"
    ]
    return interface["Attachment"]["InstanceId"], {one["PrivateIpAddress"] for one in interface["PrivateIpAddresses"]}


def answered(ask):
    """What it said; nothing while it fails."""
    with contextlib.suppress(AssertionError):
        return ask()
    return ""


def ends(pcap: bytes) -> set[tuple[str, str]]:
    """(source, destination) of the packets; a capture that has just begun is not even a file yet."""
    return {(one.source, one.destination) for one in read_packets(pcap)} if pcap else set()
