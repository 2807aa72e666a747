"""Services by ClusterIP, in every proxy mode."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.pairs import each_of
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.services import PortPlan


@pytest.mark.requirement("SVC-01")
def test_each_endpoint_is_reached_through_the_cluster_ip(service, probe, pods, hosts, protocol):
    """Every pod, and every machine with a service proxy, reaches each endpoint of a Service by its ClusterIP."""
    web = service(pods, protocol)
    clients = (*pods, *hosts)
    expected = every_pair(clients, (web.target, *pods), is_open(), with_self=True)
    eventually(lambda: probe.through(clients, web.target), expected, within=web.budget)
    assert probe.through(clients, web.target) == expected


@pytest.mark.requirement("SVC-02")
def test_each_endpoint_is_reached_from_the_host_network(service, probe, pods, places, protocol):
    """A node itself, and a pod in its host network, reach each endpoint of a Service by its ClusterIP."""
    web = service(pods, protocol)
    clients = places.of("host", "hostnet")
    expected = every_pair(clients, (web.target, *pods), is_open())
    eventually(lambda: probe.through(clients, web.target), expected, within=web.budget)
    assert probe.through(clients, web.target) == expected


@pytest.mark.requirement("SVC-03")
def test_an_endpoint_reaches_each_endpoint_of_its_own_service(service, probe, pods, protocol):
    """A pod that is an endpoint of a Service reaches each of its endpoints, itself too, by the ClusterIP."""
    web = service(pods, protocol)
    expected = every_pair(pods, (web.target, *pods), is_open(), with_self=True)
    eventually(lambda: probe.through(pods, web.target), expected, within=web.budget)
    assert probe.through(pods, web.target) == expected


@pytest.mark.requirement("SVC-04")
def test_a_single_endpoint_reaches_its_own_service(services, probe, pods, protocol):
    """A pod that is the only endpoint of a Service reaches itself through the Service's ClusterIP (hairpin)."""
    own = {
        pod.name: services.make(
            [pod], PortPlan(80, pod.ports[0], protocol), selector={"kip-conformance/place": pod.name}
        )[0]
        for pod in pods
    }
    clients_and_targets = [(pod, own[pod.name].target_named(f"vip-of-{pod.name}")) for pod in pods]
    expected = each_of(clients_and_targets, lambda pod, _: is_open(to=pod))
    eventually(lambda: probe.pairs(clients_and_targets, protocol), expected, within=own[pods[0].name].budget)
