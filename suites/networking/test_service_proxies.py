"""What a service proxy writes on its machines, mode by mode."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.waits import eventually


@pytest.mark.requirement("PXY-01")
@pytest.mark.needs("machine-access")
def test_the_nat_chains_lead_to_the_ready_endpoints(service, services, proxy_rules, pods, protocol):
    """In iptables mode the nat chains of every machine lead from the ClusterIP to exactly the ready endpoints."""
    _rules_follow_the_endpoints(service(pods, protocol), services, proxy_rules, pods)


@pytest.mark.requirement("PXY-03")
@pytest.mark.needs("machine-access")
def test_the_nftables_maps_lead_to_the_ready_endpoints(service, services, proxy_rules, pods, protocol):
    """In nftables mode the service map and the chains of every machine lead to exactly the ready endpoints."""
    _rules_follow_the_endpoints(service(pods, protocol), services, proxy_rules, pods)


def _rules_follow_the_endpoints(web, services, proxy_rules, pods):
    """First all pods are endpoints, then one of them alone."""
    eventually(lambda: proxy_rules.of(web), proxy_rules.lead_to(pods, web), within=web.budget)
    services.change(web, {"selector": {"kip-conformance/place": pods[0].name}})
    eventually(lambda: proxy_rules.of(web), proxy_rules.lead_to(pods[:1], web), within=web.budget)
