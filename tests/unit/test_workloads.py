"""Reading the API into the values that rows judge, and Services that are gone after their row."""

from __future__ import annotations

from pathlib import Path

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.targets.protocol import Place, PodRef
from kip_conformance.infra.workloads import namespaces, reading, services
from kip_conformance.infra.workloads import sweep as sweeping
from kip_conformance.infra.workloads.reading import ClusterReader, NodeView, PodView, shared_addresses
from kip_conformance.infra.workloads.services import Services

NOWHERE = Path("no-such-kubeconfig")


def place(name: str = "node-a", ports: tuple[int, ...] = (8080,), uid: str = "u1") -> Place:
    return Place(name, "pod", "node-a", "10.0.0.1", ("10.0.0.1",), ports, "/s", PodRef("ns", name, uid))


def pod(name: str = "node-a", address: str = "10.0.0.1", *, phase: str = "Running", **metadata: str) -> dict:
    status = {"phase": phase, "podIP": address, "podIPs": [{"ip": address}]} if address else {"phase": phase}
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": "u1", **metadata},
        "spec": {"nodeName": "node-a"},
        "status": status,
    }


class Api:
    """What the tests say the API server holds."""

    def __init__(self, kubeconfig: Path) -> None:
        self.log: list[str] = Api.log
        self.objects: dict[str, list[dict]] = Api.objects

    log: list[str] = []  # noqa: RUF012
    objects: dict[str, list[dict]] = {}  # noqa: RUF012

    def list(self, kind, namespace=None, *, labels=None):
        found = self.objects.get(kind, [])
        return [each for each in found if (labels or {}).items() <= each["metadata"].get("labels", {}).items()]

    def find(self, kind, name, namespace=None):
        return next((each for each in self.objects.get(kind, []) if each["metadata"]["name"] == name), None)

    def create(self, manifest):
        self.log.append(f"create {manifest['kind']} {manifest['metadata']['name']}")
        if manifest["kind"] == "Namespace":
            return manifest
        ports = [port | ({"nodePort": 30007} if manifest["spec"]["type"] == "NodePort" else {}) for port in
                 manifest["spec"]["ports"]]  # fmt: skip
        return manifest | {"spec": manifest["spec"] | {"clusterIP": "10.96.0.9", "ports": ports}}

    def delete(self, kind, name, namespace=None):
        self.log.append(f"delete {kind} {name}")

    def request(self, method, path):
        raise ApiRefusal(f"{method} {path}", 500, "InternalError", "kubelet said no")


@pytest.fixture
def api(monkeypatch):
    Api.log, Api.objects = [], {}
    for module in (reading, services, namespaces, sweeping):
        monkeypatch.setattr(module, "KubeApi", Api)
    return Api


def make(prefix: str = "r1-main-1") -> Services:
    return Services(NOWHERE, prefix=prefix, labels={"a": "b"}, selector={"kind": "pod"}, budget=3.0)


def test_pods_that_ended_or_are_going_are_not_live(api):
    api.objects["Pod"] = [
        pod("runs"),
        pod("waits", "", phase="Pending"),
        pod("ended", phase="Succeeded"),
        pod("failed", phase="Failed"),
        pod("going", deletionTimestamp="2026-01-01T00:00:00Z"),
    ]
    assert [view.name for view in ClusterReader(NOWHERE).live_pods()] == ["runs", "waits"]


def test_no_live_pod_at_all_is_no_verdict(api):
    with pytest.raises(HarnessError, match="no live pod at all"):
        ClusterReader(NOWHERE).live_pods()


def test_the_pod_of_a_place_is_the_very_one_that_was_started(api):
    api.objects["Pod"] = [pod()]
    assert ClusterReader(NOWHERE).pod(place()).pod_ip == "10.0.0.1"
    with pytest.raises(HarnessError, match="place node-a was replaced"):
        ClusterReader(NOWHERE).pod(place(uid="u2"))
    with pytest.raises(HarnessError, match="place gone was deleted"):
        ClusterReader(NOWHERE).pod(place("gone"))


def test_addresses_are_shared_by_pods_outside_the_host_network_only():
    def view(name: str, address: str, *, is_host_network: bool = False) -> PodView:
        return PodView("ns", name, "node", "Running", address, (address,) if address else (), is_host_network)

    pods = [
        view("a", "10.0.0.1"),
        view("b", "10.0.0.1"),
        view("c", "10.0.0.2"),
        view("d", "10.0.0.2", is_host_network=True),
        view("e", ""),
        view("f", ""),
    ]
    assert shared_addresses(pods) == {"10.0.0.1": ("ns/a", "ns/b")}


def test_virtual_nodes_run_no_kubelet(api):
    addresses = {"addresses": [{"type": "Hostname", "address": "x"}, {"type": "InternalIP", "address": "10.1.0.1"}]}
    api.objects["Node"] = [
        {"metadata": {"name": "node-a", "labels": {}}, "spec": {"podCIDRs": ["10.244.1.0/24"]}, "status": addresses},
        {"metadata": {"name": "bare"}, "status": {}},
        {"metadata": {"name": "virtual", "labels": {"type": "virtual-kubelet"}}, "status": addresses},
    ]
    assert ClusterReader(NOWHERE).kubelet_nodes() == (
        NodeView("node-a", "10.1.0.1", ("10.1.0.1",), ("10.244.1.0/24",)),
        NodeView("bare", ""),
    )


def test_a_log_that_the_api_refuses_is_seen_as_that(api):
    assert "kubelet said no" in ClusterReader(NOWHERE).logs(place())


def test_a_place_that_is_no_pod_has_no_log(api):
    host = Place("host-a", "host", "node-a", "10.1.0.1", ("10.1.0.1",), (8180,), "/s")
    with pytest.raises(HarnessError, match="host-a is not a pod"):
        ClusterReader(NOWHERE).logs(host)


def test_a_command_that_the_api_will_not_run_is_something_seen(api, tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], users: [{name: u, user: {}}],"
        " clusters: [{name: k, cluster: {server: 'http://127.0.0.1:9'}}]}"
    )
    ran = ClusterReader(kubeconfig).run(place(), ["true"])
    assert ran.exit_code is None
    assert "failed" in ran.refusal


def test_services_are_deleted_after_the_block_also_when_it_fails(api):
    with pytest.raises(ZeroDivisionError):
        fail_after_two()
    assert api.log == [
        "create Service svc-r1-main-1-1",
        "create Service svc-r1-main-1-2",
        "delete Service svc-r1-main-1-2",
        "delete Service svc-r1-main-1-1",
    ]


def fail_after_two() -> None:
    with make() as made:
        made.over([place()], "tcp")
        made.over([place()], "udp", is_node_port=True)
        raise ZeroDivisionError


def test_a_service_knows_where_it_answers_and_who_is_behind_it(api):
    with make() as made:
        web = made.over([place("node-a"), place("node-b")], "udp", is_node_port=True)
    assert (web.cluster_ip, web.port, web.node_port, web.target_port) == ("10.96.0.9", 80, 30007, 8080)
    assert (web.target.address, web.target.port, web.target.peers) == ("10.96.0.9", 80, ("node-a", "node-b"))
    on_node = web.on(NodeView("node-b", "10.1.0.2"))
    assert (on_node.name, on_node.address, on_node.port) == ("nodeport-node-b", "10.1.0.2", 30007)
    assert on_node.backend_port == 8080


def test_what_cannot_be_probed_is_no_verdict(api):
    with make() as made:
        with pytest.raises(HarnessError, match="has no NodePort"):
            made.over([place()], "tcp").on(NodeView("node-a", "10.1.0.1"))
        with pytest.raises(HarnessError, match="has no InternalIP"):
            made.over([place()], "tcp", is_node_port=True).on(NodeView("node-a", ""))
        with pytest.raises(HarnessError, match=r"must share a port; these have \[8080, 9090\]"):
            made.over([place(), place("b", ports=(9090,))], "tcp")


def test_a_namespace_lives_as_long_as_its_block(api):
    api.objects = {"ServiceAccount": [{"metadata": {"name": "default"}}]}
    with namespaces.temporary_namespace(NOWHERE, "r1-main-1", labels={}):
        assert api.log == ["create Namespace r1-main-1"]
    assert api.log[-1] == "delete Namespace r1-main-1"


def test_a_sweep_deletes_what_carries_the_run_s_label_and_nothing_else(api):
    def labelled(name: str, run: str) -> dict:
        return {"metadata": {"name": name, "labels": {sweeping.MADE_BY: run}}}

    api.objects = {
        "Service": [labelled("mine", "r1"), labelled("theirs", "r2"), {"metadata": {"name": "kubernetes"}}],
        "Namespace": [labelled("mine-too", "r1"), {"metadata": {"name": "default"}}],
    }
    assert sweeping.sweep(NOWHERE, "r1") == ("mine", "mine-too")
    assert api.log == ["delete Service mine", "delete Namespace mine-too"]
