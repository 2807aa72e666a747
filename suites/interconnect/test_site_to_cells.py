"""Who comes to cells from a network on premises: nobody, unless the provider was told so."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.pods import PodPlan


@pytest.mark.requirement("XCD-01")
def test_a_site_reaches_cells_only_while_its_range_is_in_extra_cidrs(
    provider, site_hosts, site_range, cell_pods, probe, protocol, budgets
):
    """A client on premises reaches cells only while its range is in extraCIDRs."""
    closed, opened = (every_pair(site_hosts, cell_pods, how) for how in (is_denied, is_open()))

    def seen():
        return probe.all(site_hosts, cell_pods, protocol)

    others = provider.extra_cidrs(without=site_range)
    with provider.configured(extraCIDRs=others):
        eventually(seen, closed, within=budgets.propagation)
        with provider.configured(extraCIDRs=[*others, site_range]):
            eventually(seen, opened, within=budgets.propagation)
        eventually(seen, closed, within=budgets.propagation)


@pytest.mark.requirement("XCD-02")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_a_site_reaches_cells_that_have_an_extra_security_group(
    cell_groups, own_pods, provider, site_hosts, site_range, cell_machines, cell_pods, probe, protocol, budgets
):
    """A client on premises reaches cells that were launched while extraSecurityGroups had a group that lets it in."""

    def pods(name: str):
        return own_pods.start(*(PodPlan(f"{name}-{machine}", machine) for machine in cell_machines))

    # Asked for before the pods, the group goes after them.
    group = cell_groups.admitting([site_range], beside=cell_pods[0].address)
    others = provider.extra_cidrs(without=site_range)
    with provider.configured(extraCIDRs=others):
        before = pods("before")
        with provider.configured(extraCIDRs=others, extraSecurityGroups=[group]):
            during = pods("during")
        after = pods("after")
        expected = every_pair(site_hosts, (*before, *after), is_denied) | every_pair(site_hosts, during, is_open())
        eventually(
            lambda: probe.all(site_hosts, (*before, *during, *after), protocol), expected, within=budgets.propagation
        )
