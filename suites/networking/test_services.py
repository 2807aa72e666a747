"""Services by ClusterIP, in every proxy mode."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually


@pytest.mark.requirement("SVC-01")
def test_each_endpoint_is_reached_through_the_cluster_ip(service, probe, pods, hosts, protocol):
    """Every pod, and every machine with a service proxy, reaches each endpoint of a Service by its ClusterIP."""
    web = service(pods, protocol)
    clients = (*pods, *hosts)
    expected = every_pair(clients, (web.target, *pods), is_open(), with_self=True)
    eventually(lambda: probe.through(clients, web.target), expected, within=web.budget)
    assert probe.through(clients, web.target) == expected
