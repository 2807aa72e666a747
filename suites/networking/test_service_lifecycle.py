"""Services that go, come back, or have nobody behind them, in every proxy mode."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open, is_refused
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.services import PortPlan


@pytest.mark.requirement("SVC-10")
def test_a_deleted_service_answers_no_more_and_a_recreated_one_does(services, probe, pods, vip_clients, protocol):
    """A deleted Service is no longer answered; made again under its old name and ClusterIP it works."""
    port = PortPlan(80, pods[0].ports[0], protocol)
    (web,) = services.make(pods, port)
    answered = every_pair(vip_clients, [web.target], is_open())
    eventually(lambda: probe.all(vip_clients, [web.target], protocol), answered, within=web.budget)

    services.delete(web)
    gone = every_pair(vip_clients, [web.target], is_denied)
    eventually(lambda: probe.all(vip_clients, [web.target], protocol), gone, within=web.budget)

    services.make(pods, port, name=web.name, spec={"clusterIP": web.cluster_ip})
    eventually(lambda: probe.all(vip_clients, [web.target], protocol), answered, within=web.budget)


@pytest.mark.requirement("SVC-11")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_a_service_without_endpoints_refuses_at_once(services, probe, pods, hosts, protocol):
    """A connection to a Service that has no endpoint is refused promptly, it does not time out."""
    clients = (*pods, *hosts)
    web = services.over(pods, protocol)
    answered = every_pair(clients, [web.target], is_open())
    eventually(lambda: probe.all(clients, [web.target], protocol), answered, within=web.budget)

    services.change(web, {"selector": {"kip-conformance/place": "nobody"}})
    # Kernels send one destination no more than a few refusals a second, but as many as they like to themselves: so the
    # machines ask until the proxies have followed, and pods only then.
    refused = every_pair(hosts, [web.target], is_refused)
    eventually(lambda: probe.all(hosts, [web.target], protocol), refused, within=web.budget)
    refused = every_pair(clients, [web.target], is_refused)
    eventually(lambda: probe.all(clients, [web.target], protocol), refused, within=web.budget)
