"""UDP flows through Services: connection tracking must not hold on to a backend that is gone, or was not there yet."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import is_denied, is_open
from kip_conformance.infra.judge.pairs import each_of, in_turn
from kip_conformance.infra.judge.waits import consistently, eventually
from kip_conformance.infra.workloads.pods import PodPlan
from kip_conformance.infra.workloads.services import PortPlan

BEHIND = {"kip-conformance/behind": "udp-flows"}


@pytest.mark.requirement("CTK-01")
@pytest.mark.parametrize("protocol", ["udp"])
def test_a_udp_flow_moves_when_its_backend_goes(own_pods, services, probe, api, pods, source_port, protocol):
    """A UDP flow to a ClusterIP or NodePort that keeps its source port moves when its backend goes."""
    first, second = own_pods.start(
        PodPlan("udp-old", pods[0].machine, labels=BEHIND), PodPlan("udp-new", pods[-1].machine)
    )
    plan, where = PortPlan(80, first.ports[0], protocol), {"selector": BEHIND, "namespace": own_pods.namespace}
    (web,) = services.make([first], plan, **where, spec={"type": "NodePort"})
    flows = in_turn(pods, [web.target, *(web.on(node) for node in api.kubelet_nodes())])
    # The flow must not begin before the Service is known on every machine: that would be another requirement.
    eventually(lambda: probe.pairs(flows, protocol), each_of(flows, is_open(to=first)), within=web.budget)
    eventually(
        lambda: probe.pairs(flows, protocol, source_port=source_port, attempts=1, title="the flow"),
        each_of(flows, is_open(to=first)),
        within=web.budget,
    )
    own_pods.label(second, BEHIND)
    own_pods.delete(first)
    moved = web.over([second])
    flows = in_turn(pods, [moved.target, *(moved.on(node) for node in api.kubelet_nodes())])
    eventually(
        lambda: probe.pairs(flows, protocol, source_port=source_port, attempts=1, title="moved"),
        each_of(flows, is_open(to=second)),
        within=web.budget,
    )


@pytest.mark.requirement("CTK-03")
@pytest.mark.parametrize("protocol", ["udp"])
def test_a_udp_flow_without_endpoint_reaches_the_first_one(
    own_pods, services, probe, api, pods, budgets, source_port, protocol
):
    """A UDP flow that began while a Service had no endpoint reaches the first one that becomes ready."""
    (server,) = own_pods.start(PodPlan("udp-late", pods[-1].machine))
    plan, where = PortPlan(80, server.ports[0], protocol), {"selector": BEHIND, "namespace": own_pods.namespace}
    (web,) = services.make([server], plan, **where, spec={"type": "NodePort"})
    flows = in_turn(pods, [web.target, *(web.on(node) for node in api.kubelet_nodes())])
    consistently(
        lambda: probe.pairs(flows, protocol, source_port=source_port, attempts=1),
        each_of(flows, is_denied),
        for_=budgets.probe_timeout,
    )
    own_pods.label(server, BEHIND)
    eventually(
        lambda: probe.pairs(flows, protocol, source_port=source_port, attempts=1, title="with an endpoint"),
        each_of(flows, is_open(to=server)),
        within=web.budget,
    )
