"""What leaves cells: for the internet, by a public address or a NAT gateway, or not at all."""

from __future__ import annotations

import pytest
from kip_conformance.infra.errors import NotRunnable
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.pods import PodPlan


@pytest.mark.requirement("EGR-01")
def test_a_pod_in_a_public_subnet_reaches_the_internet(cells, public_pods, own_pods, outside, probe):
    """A pod in a public subnet reaches the internet by address and by name, as its cell's public address."""
    seen_as = {pod.name: [public for public, _ in cells.at(pod.address).public] for pod in public_pods}
    for protocol in ("tcp", "udp"):
        grid = probe.all(public_pods, [outside.place], protocol, title=f"{protocol}, by address")
        assert grid == every_pair(
            public_pods, [outside.place], lambda pod, server: is_open(to=server, source=seen_as[pod.name])
        )
    # The name is of the world outside, not of the cluster: by the resolver that the pod's cell has.
    (named,) = own_pods.start(PodPlan("by-name", public_pods[0].machine, spec={"dnsPolicy": "Default"}))
    target = outside.by_name("tcp")
    grid = probe.all([named], [target], "tcp", title="tcp, by name")
    assert grid == every_pair([named], [target], is_open(to=outside.place))


@pytest.mark.requirement("EGR-02")
def test_a_pod_behind_a_nat_gateway_reaches_the_internet(cells, private_pods, ways_out, outside, probe, protocol):
    """A pod in a private subnet with a NAT gateway reaches the internet, as the gateway's public address."""
    gateways = {pod: ways_out.nat_addresses(cells.at(pod.address).subnet) for pod in private_pods}
    seen_as = {pod.name: addresses for pod, addresses in gateways.items() if addresses}
    pods = [pod for pod in private_pods if pod.name in seen_as]
    if not pods:
        raise NotRunnable("no place is on a cell whose subnet has a NAT gateway")
    grid = probe.all(pods, [outside.place], protocol)
    assert grid == every_pair(pods, [outside.place], lambda pod, server: is_open(to=server, source=seen_as[pod.name]))


@pytest.mark.requirement("EGR-03")
def test_a_pod_without_a_way_out_does_not_reach_the_internet(
    cells, private_pods, public_pods, ways_out, outside, probe, budgets
):
    """A pod in a private subnet whose routes lead to no gateway does not reach the internet; one elsewhere does."""
    closed, open_ = private_pods[0], public_pods[0]
    expected = every_pair([open_], [outside.place], is_open(to=outside.place))
    with ways_out.without_gateways(cells.at(closed.address).subnet):
        for protocol in ("tcp", "udp"):
            eventually(
                lambda protocol=protocol: probe.all([closed, open_], [outside.place], protocol, title=protocol),
                expected | every_pair([closed], [outside.place], is_denied),
                within=budgets.propagation,
            )


@pytest.mark.requirement("EGR-04")
def test_pods_keep_their_address_inside_the_clouds_networks(cells, cell_pods, bystanders, budgets):
    """A machine in each range of a cell's VPC and of the VPCs that it is peered with sees the podIP as source."""
    near = bystanders.one_a_range(cells.at(cell_pods[0].address))
    for protocol in ("tcp", "udp"):
        eventually(
            lambda protocol=protocol: {pod.name: bystanders.seen(pod, near, protocol) for pod in cell_pods},
            lambda seen: seen == {pod.name: {str(one): pod.address for one in near} for pod in cell_pods},
            within=budgets.start,
        )
