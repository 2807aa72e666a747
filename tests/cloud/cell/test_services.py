"""kube-proxy on a cell, against a real API server: Services for the pod, and nothing for anybody else."""

from __future__ import annotations

import json

import pytest
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab import control_plane
from kip_conformance.infra.lab.pki import write_kubeconfig
from kip_conformance.infra.lab.plan import PLAN

from .streams import execute
from .test_start import ASK, ECHO

SERVER = ASK.replace("8080", "int(sys.argv[2])")
SERVICE, HAIRPIN, NODE_PORT = "10.96.0.50", "10.96.0.51", 30080
NAMESPACE = "kube-system"


@pytest.fixture(scope="module")
def api(world):
    """An API server with two Services; who answers them is said by hand, no controller runs."""
    control, folder = world.control, world.control.folder
    control_plane.make_pki(folder, PLAN)
    disk = folder.machine(world.server) / "etcd"
    control.daemon("etcd", control_plane.etcd(world.tools["etcd"], disk), machine=world.server)
    argv = control_plane.api_server(world.tools["kube-apiserver"], folder.pki, PLAN)
    control.daemon("kube-apiserver", argv, machine=world.server)
    control.daemon("echo", ["/usr/bin/python3", "-c", ECHO.replace("8080", "8081")], machine=world.server)
    pki = folder.pki
    url = f"https://127.0.0.1:{world.offer(world.server_address, control_plane.API_PORT)}"
    write_kubeconfig(folder.kubeconfig, url, pki / "ca.crt", pki / "admin.crt", pki / "admin.key", embed=True)
    made = KubeApi(folder.kubeconfig)
    world.until(made.is_ready, "the API server is not ready")
    world.until(lambda: made.find("Namespace", NAMESPACE) is not None, f"there is no {NAMESPACE}")
    made.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "kip-node"}})
    # kube-proxy waits for a node that has an address: half a minute, if it has none.
    addresses = {"status": {"addresses": [{"type": "InternalIP", "address": world.server_address}]}}
    made.request("PATCH", "/api/v1/nodes/kip-node/status", addresses, content_type="application/merge-patch+json")
    made.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "proxy", "namespace": NAMESPACE}})
    made.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "cells-proxy"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"},
            "subjects": [{"kind": "ServiceAccount", "name": "proxy", "namespace": NAMESPACE}],
        }
    )
    service(made, "echo", SERVICE, (world.server_address, 8081), NODE_PORT)
    return made


def service(api, name, address, backend, node_port=None):
    endpoint, port = backend
    spec = {"clusterIP": address, "ports": [{"name": "p", "port": 80, "targetPort": port}]}
    if node_port:
        spec |= {"type": "NodePort", "ports": [{**spec["ports"][0], "nodePort": node_port}]}
    metadata = {"name": name, "namespace": NAMESPACE}
    api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    api.create(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "p", "port": port, "protocol": "TCP"}],
            # In nftables mode kube-proxy masquerades hairpin connections to endpoints of its own node only.
            "endpoints": [{"addresses": [endpoint], "conditions": {"ready": True}, "nodeName": "kip-node"}],
        }
    )


@pytest.fixture(scope="module", params=["iptables", "nftables"])
def served(request, world, api):
    """A cell with a kube-proxy in this mode; its pod asks a Service at its first instruction."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/proxy/token"
    token = json.loads(
        api.request("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    )
    cell = world.cell(
        api_server=f"https://{world.server_address}:{control_plane.API_PORT}",
        api_ca=(world.control.folder.pki / "ca.crt").read_text(),
        proxy_token=token["status"]["token"],
        proxy_mode=request.param,
        programs={"kube-proxy": str(world.tools["kube-proxy"])},
    )
    first = {"command": ["python3", "-u", "-c", f"{SERVER}; import time; time.sleep(10**6)", SERVICE, "80"]}
    cell.agent.put(world.pod(first, {"command": ["python3", "-c", ECHO]}))
    cell.running()
    yield cell
    world.end(cell.instance)


def asks(cell, address, port=80):
    said = execute(cell.agent, "python3", "-c", SERVER, address, str(port))
    return said.out.strip() or said.err


def test_a_service_answers_at_the_first_instruction_and_sees_the_podip(world, served):
    world.until(lambda: served.agent.get("/v1/logs/c0").body != b"", "nothing in the log", within=15)

    assert served.agent.get("/v1/logs/c0").body.decode().strip() == served.pod_address


def test_a_pod_reaches_itself_through_its_service(api, served):
    name = f"hairpin-{served.instance}"
    service(api, name, HAIRPIN, (served.pod_address, 8080))
    try:
        served.world.until(lambda: "10." in asks(served, HAIRPIN), "the Service does not answer", within=15)
    finally:
        api.delete("Service", name, NAMESPACE)
        api.delete("EndpointSlice", name, NAMESPACE)


def test_a_cell_serves_no_node_port(world, served):
    for address in (served.address, served.pod_address):
        argv = ["/usr/bin/python3", "-c", SERVER, address, str(NODE_PORT)]
        assert world.control.run(argv, machine=world.server).returncode != 0
    assert "10." not in asks(served, served.address, NODE_PORT).splitlines()[0]


def test_a_service_proxy_that_is_killed_comes_back(world, served):
    before = served.run("cat", "/run/cell/kube-proxy.pid")
    served.run("kill", "-9", before)
    world.until(lambda: served.run("cat", "/run/cell/kube-proxy.pid") != before, "no other runs")

    assert asks(served, SERVICE) == served.pod_address
    assert "kube-proxy ended with -9" in served.console()
