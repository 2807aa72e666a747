"""Pods in two VPCs that are peered, and who does not come through from a third network."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open
from kip_conformance.infra.judge.pairs import each_of
from kip_conformance.infra.judge.waits import consistently, eventually
from kip_conformance.infra.workloads.pods import PodPlan


@pytest.mark.requirement("PEE-01")
def test_pods_in_peered_networks_reach_each_other(
    cell_groups, own_pods, provider, peer_network, cell_machines, cell_pods, probe, protocol, budgets
):
    """Pods on cells of two peered VPCs reach each other, in both directions, and see each other's podIP as source."""
    # Asked for before the pods, what the provider makes in the other VPC goes after them.
    cell_groups.visit(peer_network.vpc)
    others = provider.extra_cidrs()
    with provider.configured(subnet=peer_network.subnet, extraCIDRs=[*others, *peer_network.others]):
        there = own_pods.start(PodPlan("in-the-peer", cell_machines[0]))
    expected = every_pair(cell_pods, there, lambda client, _: is_open(source=client))
    back = every_pair(there, cell_pods, lambda client, _: is_open(source=client))
    with provider.configured(extraCIDRs=[*others, peer_network.cidr]):
        eventually(lambda: probe.all(cell_pods, there, protocol), expected, within=budgets.propagation)
        eventually(lambda: probe.all(there, cell_pods, protocol, title="back"), back, within=budgets.propagation)


@pytest.mark.requirement("PEE-02")
@pytest.mark.needs("machine-access")
def test_peering_is_not_transitive(
    cell_groups, own_pods, provider, peer_network, site_hosts, site_range, site_route, cell_machines, probe, budgets
):
    """A site behind one VPC does not reach the other, with routes for it on both sides of the peering either."""
    cell_groups.visit(peer_network.vpc)
    others, machine = provider.extra_cidrs(without=site_range), cell_machines[0]
    with provider.configured(subnet=peer_network.subnet, extraCIDRs=[*others, *peer_network.others, site_range]):
        beyond = own_pods.start(PodPlan("beyond-the-peering", machine))
    with provider.configured(extraCIDRs=[*others, peer_network.cidr, site_range]):
        near = own_pods.start(PodPlan("before-the-peering", machine))
        ways = [*((site, pod) for site in site_hosts for pod in near), (near[0], beyond[0])]
        eventually(
            lambda: probe.pairs(ways, "tcp", title="each way"), each_of(ways, is_open()), within=budgets.propagation
        )
        closed = every_pair(site_hosts, beyond, is_denied)
        assert probe.all(site_hosts, beyond, "tcp", title="without routes") == closed
        with peer_network.routed(site_range), site_route(peer_network.cidr):
            consistently(lambda: probe.all(site_hosts, beyond, "tcp", title="with routes"), closed, for_=2)
