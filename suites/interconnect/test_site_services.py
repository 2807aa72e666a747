"""Services whose clients and endpoints are on both sides: on premises, and on cells."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually


@pytest.mark.requirement("XSV-01")
def test_services_lead_from_the_site_to_cells_and_back(services, site_pods, cell_pods, probe, protocol):
    """Pods on premises reach Services with endpoints on cells, and cells Services with endpoints on premises."""
    for clients, endpoints in ((site_pods, cell_pods), (cell_pods, site_pods)):
        webs = [(pod, services.of(pod, protocol)) for pod in endpoints]
        targets = [web.target_named(f"service-of-{pod.name}") for pod, web in webs]
        expected = every_pair(clients, targets, is_open())
        eventually(
            lambda clients=clients, targets=targets: probe.all(clients, targets, protocol),
            expected,
            within=webs[0][1].budget,
        )
