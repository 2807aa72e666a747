"""Session affinity: a Service that keeps a client at one endpoint."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.choices import every_peer_is_chosen, one_peer_is_kept
from kip_conformance.infra.judge.waits import consistently, eventually
from kip_conformance.infra.probe.choice import attempts_for


@pytest.mark.requirement("AFF-01")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_client_ip_affinity_is_switched_on_and_off(node_port, services, probe, api, pods, budgets, protocol):
    """ClientIP affinity on a live Service keeps a client at one endpoint, by ClusterIP and NodePort, until it goes."""
    web = node_port(pods, protocol)
    often = attempts_for(len(pods), chance=1e-4)  # of missing one; that one alone is met by chance is never
    targets = [web.target, *(web.on(node) for node in api.kubelet_nodes())]
    eventually(lambda: probe.choices(pods, targets, attempts=often), every_peer_is_chosen, within=web.budget)
    services.change(web, {"sessionAffinity": "ClientIP"})
    kept = eventually(lambda: probe.choices(pods, targets, attempts=often), one_peer_is_kept, within=web.budget)
    consistently(lambda: probe.choices(pods, targets, attempts=often), kept.is_repeated_by, for_=budgets.probe_timeout)
    services.change(web, {"sessionAffinity": "None", "sessionAffinityConfig": None})
    eventually(lambda: probe.choices(pods, targets, attempts=often), every_peer_is_chosen, within=web.budget)
