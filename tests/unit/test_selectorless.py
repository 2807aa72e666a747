"""Services without selector, and the slices that a row writes for them; an API that only remembers."""

from __future__ import annotations

from pathlib import Path

import pytest
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.infra.workloads import objects, services
from kip_conformance.infra.workloads.objects import Objects
from kip_conformance.infra.workloads.selectorless import Selectorless
from kip_conformance.infra.workloads.services import PortPlan, Services

NOWHERE = Path("no-such-kubeconfig")
PODS = [Place(f"p{number}", "pod", "n", f"10.0.0.{number}", (), (8080, 8081), "/s") for number in (1, 2)]


class Api:
    def __init__(self, _kubeconfig):
        self.made = {}
        self.patches = []

    def create(self, manifest):
        if manifest["kind"] == "Service":
            manifest = {**manifest, "spec": {"clusterIP": "10.96.0.9", **manifest["spec"]}}
        self.made[manifest["metadata"]["name"]] = manifest
        return manifest

    def get(self, path):
        return self.made[path.rpartition("/")[2]]

    def patch(self, kind, name, change, namespace):
        self.patches.append((kind, name, change, namespace))

    def delete(self, kind, name, namespace=None):
        del self.made[name]


@pytest.fixture
def api(monkeypatch):
    api = Api(NOWHERE)
    for module in (objects, services):
        monkeypatch.setattr(module, "KubeApi", lambda _kubeconfig: api)
    return api


@pytest.fixture
def by_hand(api):
    made = Services(NOWHERE, prefix="r", labels={}, selector={"kind": "pod"}, budget=1.0)
    return Selectorless(made, Objects(NOWHERE, labels={"run": "r"}), "mine")


def test_each_port_has_a_slice_of_its_own(api, by_hand):
    web, more = by_hand.with_ports({PortPlan(80, 8080): PODS[:1], PortPlan(81, 8081, "udp"): PODS[1:]})

    assert (web.endpoints, more.endpoints) == (("p1",), ("p2",))
    assert "selector" not in api.made["by-hand"]["spec"]
    first, second = api.made["by-hand-1"], api.made["by-hand-2"]
    assert [each["metadata"]["namespace"] for each in (first, second)] == ["mine", "mine"]
    assert first["ports"] == [{"name": "tcp-80", "protocol": "TCP", "port": 8080}]
    assert second["ports"] == [{"name": "udp-81", "protocol": "UDP", "port": 8081}]
    assert [endpoint["addresses"] for endpoint in second["endpoints"]] == [["10.0.0.2"]]
    assert first["metadata"]["labels"]["kubernetes.io/service-name"] == "by-hand"


def test_slices_come_and_go_beside_each_other(api, by_hand):
    web = by_hand.service(PODS, "tcp")
    first, second = by_hand.add_slice(web, PODS[:1]), by_hand.add_slice(web, PODS[1:])
    by_hand.drop_slice(second)

    assert [name for name in (first, second) if name in api.made] == [first]


def test_a_port_is_dropped_and_the_others_stay(api, by_hand):
    web, _ = by_hand.with_ports({PortPlan(80, 8080): PODS, PortPlan(80, 8080, "udp"): PODS})
    Services(NOWHERE, prefix="r", labels={}, selector={}, budget=1.0).drop_port(web)

    ((kind, name, change, namespace),) = api.patches
    assert (kind, name, namespace) == ("Service", "by-hand", "mine")
    assert [port["name"] for port in change["spec"]["ports"]] == ["udp-80"]


def test_a_service_is_known_by_four_qualified_names_and_each_is_probed(by_hand):
    web = by_hand.service(PODS, "tcp")
    names = web.host_names("cluster.local")

    assert names == ("by-hand.mine", "by-hand.mine.svc", "by-hand.mine.svc.cluster.local", f"{names[2]}.")
    target = web.known_as(names[0])
    assert (target.address, target.port, target.peers) == ("by-hand.mine", 80, ("p1", "p2"))
