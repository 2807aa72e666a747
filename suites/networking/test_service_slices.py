"""Services without a selector: what stands behind them is what their EndpointSlices list, in every proxy mode."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually


@pytest.mark.requirement("SVC-07")
def test_a_service_without_selector_leads_to_all_its_slices(selectorless, probe, pods, vip_clients, protocol):
    """A Service without selector leads to the endpoints of all its EndpointSlices, and to no others."""
    first, others = pods[:1], pods[1:]
    web = selectorless.service(pods, protocol)
    selectorless.add_slice(web, first)
    second = selectorless.add_slice(web, others)
    expected = every_pair(vip_clients, (web.target, *pods), is_open(), with_self=True)
    eventually(lambda: probe.through(vip_clients, web.target), expected, within=web.budget)

    selectorless.drop_slice(second)
    left = web.over(first).target
    expected = every_pair(vip_clients, (left, *first), is_open(), with_self=True)
    eventually(lambda: probe.through(vip_clients, left), expected, within=web.budget)
