"""Services by NodePort, in every proxy mode."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually


@pytest.mark.requirement("NPT-01")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_a_node_port_answers_on_every_node(node_port, probe, api, pods, protocol):
    """A NodePort answers at the InternalIP of every kubelet node, for pods in every place."""
    web = node_port(pods, protocol)
    targets = [web.on(node) for node in api.kubelet_nodes()]
    expected = every_pair(pods, targets, is_open())
    eventually(lambda: probe.every_time(pods, targets), expected, within=web.budget)
    assert probe.every_time(pods, targets) == expected
