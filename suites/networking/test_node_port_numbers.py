"""The life of a NodePort: how its number is given out, and what is left of it when its Service is gone."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.services import PortPlan


@pytest.mark.requirement("NPT-05")
def test_a_deleted_node_port_is_silent_and_free_again(services, node_ports, probe, api, pods, protocol):
    """The NodePort of a deleted Service is not answered any more, and a new Service can have the same number."""
    nodes, number = api.kubelet_nodes(), node_ports.by_hand(protocol)
    plan = PortPlan(80, pods[0].ports[0], protocol, node_port=number)
    (other,) = services.make(pods, PortPlan(80, pods[0].ports[0], protocol), spec={"type": "NodePort"})
    (web,) = services.make(pods, plan, spec={"type": "NodePort"})
    ours, theirs = [web.on(node) for node in nodes], [other.on(node) for node in nodes]
    answered, silent = every_pair(pods, ours, is_open()), every_pair(pods, ours, is_denied)
    eventually(lambda: probe.all(pods, ours, protocol), answered, within=web.budget)
    services.delete(web)
    eventually(lambda: probe.all(pods, ours, protocol), silent, within=web.budget)
    eventually(lambda: probe.all(pods, theirs, protocol, title="another Service"), answered, within=web.budget)
    refusal = node_ports.refusal(number, protocol)
    assert refusal is None, f"NodePort {number} of a deleted Service is not free again: {refusal}"
    services.make(pods, plan, spec={"type": "NodePort"})
    eventually(lambda: probe.all(pods, ours, protocol, title="used again"), answered, within=web.budget)


@pytest.mark.requirement("NPT-05")
@pytest.mark.parametrize("aspect", ["numbers"])
def test_node_ports_are_given_out_once_and_within_the_range(service, node_port, node_ports, pods, aspect):
    """Allocated NodePorts are unique and within the range, others are refused, and a ClusterIP Service has none."""
    held = [node_port(pods, protocol).node_port for protocol in ("tcp", "udp", "tcp")]
    known = node_ports.range()
    for number in held:
        assert number in known, f"NodePort {number} was allocated outside of the API server's range {known}"
    assert not node_ports.shared(), f"two Services have one NodePort: {'; '.join(node_ports.shared())}"
    collision = node_ports.refusal(held[0], "tcp")
    assert collision is not None, f"a second Service may have NodePort {held[0]}, which another one has"
    assert collision.status == 422, f"a second Service with NodePort {held[0]}: expected 422 Invalid, saw {collision}"
    beyond = node_ports.refusal(known.first - 1, "tcp")
    assert beyond is not None, f"NodePort {known.first - 1} was accepted, though the range is {known}"
    plain = service(pods, "tcp")
    assert not plain.node_port, f"Service {plain.name} is of type ClusterIP and has NodePort {plain.node_port}"
