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


@pytest.mark.requirement("NPT-02")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_a_node_port_answers_nodes_and_host_network_pods(node_port, probe, api, pods, hosts, hostnets, protocol):
    """A NodePort answers at the InternalIP of every kubelet node, for the nodes themselves and hostNetwork pods."""
    web, clients = node_port(pods, protocol), (*hosts, *hostnets)
    targets = [web.on(node) for node in api.kubelet_nodes()]
    expected = every_pair(clients, targets, is_open())
    eventually(lambda: probe.every_time(clients, targets), expected, within=web.budget)
    assert probe.every_time(clients, targets) == expected


@pytest.mark.requirement("NPT-03")
@pytest.mark.parametrize("protocol", ["udp"])
def test_datagrams_to_a_node_port_arrive_and_are_answered(node_port, probe, api, pods, hosts, protocol):
    """Datagrams to a UDP NodePort of every kubelet node arrive unaltered, and so do their replies."""
    web, clients, payload = node_port(pods, protocol), (*pods, *hosts), {"size": 512, "reply_size": 512}
    targets = [web.on(node) for node in api.kubelet_nodes()]
    expected = every_pair(clients, targets, is_open())
    eventually(lambda: probe.every_time(clients, targets, **payload), expected, within=web.budget)
    assert probe.every_time(clients, targets, **payload) == expected


@pytest.mark.requirement("NPT-07")
def test_node_ports_lead_to_cells_and_are_reached_from_cells(
    services, probe, api, pods, cell_pods, near_pods, hosts, protocol
):
    """NodePorts with endpoints on cells only answer at every kubelet node, and others answer clients on cells."""
    nodes = api.kubelet_nodes()
    for endpoints, clients in ((cell_pods, (*pods, *hosts)), (near_pods, cell_pods)):
        webs = [(pod, services.of(pod, protocol, is_node_port=True)) for pod in endpoints]
        targets = [web.on(node, name=f"{pod.name}-by-{node.name}") for pod, web in webs for node in nodes]
        expected = every_pair(clients, targets, is_open())
        eventually(
            lambda clients=clients, targets=targets: probe.all(clients, targets, protocol),
            expected,
            within=webs[0][1].budget,
        )
