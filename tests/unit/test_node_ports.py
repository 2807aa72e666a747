"""NodePorts as an API server tells of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.workloads import node_ports
from kip_conformance.infra.workloads.node_ports import NodePorts, PortRange, range_in

SAID = "provided port is not in the valid range. The range of valid ports is 30000-32767"


class Api:
    services: list[dict] = []  # noqa: RUF012
    said = SAID

    def __init__(self, kubeconfig: Path) -> None:
        pass

    def list(self, kind):
        return self.services

    def create(self, manifest):
        if manifest["spec"]["ports"][0]["nodePort"] < 30000:
            raise ApiRefusal("POST", 422, "Invalid", self.said)
        return manifest | {"metadata": manifest["metadata"] | {"name": "made"}}

    def delete(self, kind, name, namespace):
        assert name == "made"


def service(name: str, *ports: tuple[str, int]) -> dict:
    listed = [{"protocol": protocol, "nodePort": number} for protocol, number in ports]
    return {"metadata": {"namespace": "ns", "name": name}, "spec": {"ports": listed}}


@pytest.fixture
def asked(monkeypatch) -> NodePorts:
    Api.services, Api.said = [], SAID
    monkeypatch.setattr(node_ports, "KubeApi", Api)
    return NodePorts(Path("none"), labels={})


def test_the_range_is_read_from_the_refusal(asked):
    assert asked.range() == PortRange(30000, 32767)
    assert (29999 in asked.range(), 30000 in asked.range(), 32768 in asked.range()) == (False, True, False)
    assert range_in("no range here") is None
    Api.said = "go away"
    with pytest.raises(HarnessError, match="named no range"):
        asked.range()


def test_a_number_that_is_taken_is_no_refusal_and_nothing_stays(asked):
    assert asked.refusal(30001, "tcp") is None
    assert asked.refusal(1, "udp").status == 422


def test_ports_are_shared_within_one_protocol_only(asked):
    Api.services = [service("a", ("TCP", 30001), ("UDP", 30001)), service("b", ("TCP", 30002)), {**service("c")}]
    assert asked.shared() == ()
    Api.services.append(service("d", ("UDP", 30001)))
    assert asked.shared() == ("udp 30001 of ns/a and udp 30001 of ns/d",)


def test_numbers_asked_for_by_hand_are_free_and_differ_by_protocol(asked):
    Api.services = [service("a", ("TCP", 30000))]
    assert (asked.by_hand("tcp"), asked.by_hand("udp")) == (30002, 30001)
