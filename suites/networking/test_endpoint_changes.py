"""Endpoints that come and go: traffic follows what the API says about them."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.pods import PodPlan
from kip_conformance.infra.workloads.readiness import every_pod_ready, no_pod_ready, probed_by
from kip_conformance.infra.workloads.services import PortPlan

BEHIND = {"kip-conformance/behind": "endpoint-changes"}
OFTEN = 30  # an endpoint that is still chosen, one time of two, is missed with a chance of 10^-9


@pytest.mark.requirement("EPT-01")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_a_readiness_flip_moves_traffic(own_pods, readiness, services, probe, latency, pods, hosts, budgets, protocol):
    """An endpoint that becomes unready gets no more traffic within the budget, and one that becomes ready gets some."""
    flips, stays = own_pods.start(
        PodPlan("ept-flips", pods[0].machine, labels=BEHIND, container=probed_by("tcp")),
        PodPlan("ept-stays", pods[-1].machine, labels=BEHIND),
    )
    plan = PortPlan(80, flips.ports[0], protocol)
    (web,) = services.make([flips, stays], plan, selector=BEHIND, namespace=own_pods.namespace)
    clients, alone = (*pods, *hosts), web.over([stays]).target
    both = every_pair(clients, (web.target, flips, stays), is_open())
    eventually(lambda: probe.through(clients, web.target), both, within=web.budget)
    readiness.set([flips], is_ready=False)
    eventually(lambda: readiness.of([flips]), no_pod_ready, within=budgets.propagation)
    with latency("until an unready endpoint got no traffic"):
        moved = every_pair(clients, (alone, stays), is_open())
        eventually(lambda: probe.through(clients, alone, attempts=OFTEN), moved, within=web.budget)
    readiness.set([flips], is_ready=True)
    eventually(lambda: readiness.of([flips]), every_pod_ready, within=budgets.propagation)
    with latency("until a ready endpoint got traffic"):
        eventually(lambda: probe.through(clients, web.target), both, within=web.budget)


@pytest.mark.requirement("EPT-02")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_a_deleted_endpoint_leaves_no_black_hole(own_pods, services, probe, pods, hosts, protocol):
    """Within the budget after an endpoint's pod is deleted every connection reaches one that is left."""
    goes, stays = own_pods.start(
        PodPlan("ept-goes", pods[0].machine, labels=BEHIND), PodPlan("ept-left", pods[-1].machine, labels=BEHIND)
    )
    plan = PortPlan(80, goes.ports[0], protocol)
    (web,) = services.make([goes, stays], plan, selector=BEHIND, namespace=own_pods.namespace)
    clients, left = (*pods, *hosts), web.over([stays]).target
    both = every_pair(clients, (web.target, goes, stays), is_open())
    eventually(lambda: probe.through(clients, web.target), both, within=web.budget)
    own_pods.delete(goes)
    moved = every_pair(clients, (left, stays), is_open())
    eventually(lambda: probe.through(clients, left, attempts=OFTEN), moved, within=web.budget)
    assert probe.through(clients, left, attempts=OFTEN) == moved
