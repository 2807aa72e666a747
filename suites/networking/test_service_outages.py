"""Services while what programs them is away, in every proxy mode. These rows run alone: they disrupt all others."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import consistently, eventually


@pytest.mark.requirement("PXY-05")
@pytest.mark.parametrize("component", ["service-proxy", "api-server"])
def test_services_go_on_without_what_programs_them(services, without, probe, places, component):
    """While the service proxy or the API server is away Services go on as before; afterwards they catch up."""
    pods, clients = places.of("pod"), places.of("pod", "host")
    web = services.over(pods, "tcp")
    as_before = every_pair(clients, (web.target, *pods), is_open(), with_self=True)
    eventually(lambda: probe.through(clients, web.target), as_before, within=web.budget)

    left = web.over(pods[:1]).target
    with without(component):
        services.change(web, {"selector": {"kip-conformance/place": pods[0].name}})
        consistently(lambda: probe.through(clients, web.target), as_before, for_=0.5)

    caught_up = every_pair(clients, (left, pods[0]), is_open(), with_self=True)
    # What was on its way when the outage began is sent again after as long a pause as the outage was, at most.
    eventually(lambda: probe.through(clients, left), caught_up, within=2 * web.budget)
