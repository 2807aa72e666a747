"""How cells get their agent: from S3 or a server inside the network, or not, which has to be said."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.waits import consistently, eventually
from kip_conformance.infra.workloads.arrivals import is_not_running, is_running, is_warned_of
from kip_conformance.infra.workloads.pods import PodPlan


@pytest.mark.requirement("BTS-01")
def test_the_agent_comes_through_a_gateway_endpoint(private_pods, no_way_out, own_pods, arrival, budgets):
    """With no gateway in its subnet's routes a cell downloads its agent by the gateway endpoint of S3, and runs."""
    with no_way_out(private_pods[0]):
        pod = own_pods.propose(PodPlan("by-endpoint", private_pods[0].machine))
        eventually(lambda: arrival(pod), is_running, within=budgets.start)


@pytest.mark.requirement("BTS-02")
def test_a_cell_without_a_way_to_the_agent_is_told_of(
    cells, private_pods, no_way_out, ways_out, own_pods, arrival, budgets
):
    """With neither gateway nor endpoint no pod runs, and an event says so; it runs once there is a way."""
    place = private_pods[0]
    with ways_out.without_endpoint(cells.at(place.address).subnet, "s3"), no_way_out(place):
        pod = own_pods.propose(PodPlan("stranded", place.machine))
        eventually(lambda: arrival(pod), is_warned_of, within=budgets.start)
        consistently(lambda: arrival(pod), is_not_running, for_=2)
    eventually(lambda: arrival(pod), is_running, within=budgets.start)


@pytest.mark.requirement("BTS-05")
def test_the_event_names_where_the_agent_should_come_from(
    cells, private_pods, no_way_out, ways_out, agent_offer, own_pods, arrival, budgets
):
    """The event about a cell that does not come up names the URL of the agent and the cell's subnet."""
    subnet = cells.at(private_pods[0].address).subnet
    with ways_out.without_endpoint(subnet, "s3"), no_way_out(private_pods[0]):
        pod = own_pods.propose(PodPlan("stranded", private_pods[0].machine))
        seen = eventually(lambda: arrival(pod), is_warned_of, within=budgets.start)
    unsaid = [what for what in (agent_offer.url, subnet.id) if not any(what in one for one in seen.warnings)]
    assert not unsaid, f"no event names {', '.join(unsaid)}: {seen}"


@pytest.mark.requirement("BTS-03")
def test_the_agent_comes_from_a_server_inside_the_network(
    cells, cell_machines, serve_agent, provider, own_pods, arrival, budgets
):
    """With cells.itzo.url set to a web server inside the network new cells download their agent there."""
    with serve_agent() as server, provider.configured(itzo={**provider.agent(), "url": server.url}):
        made = [own_pods.propose(PodPlan(f"from-inside-{name}", name)) for name in cell_machines]
        running = {pod.name: eventually(lambda pod=pod: arrival(pod), is_running, within=budgets.start) for pod in made}
        absent = [name for name, seen in running.items() if cells.at(seen.address).management not in server.clients()]
        assert not absent, f"these run an agent that was not fetched from {server.url}: {', '.join(absent)}"


@pytest.mark.requirement("BTS-04")
def test_another_agent_is_refused(public_pods, serve_agent, provider, own_pods, arrival, budgets):
    """An agent of another digest, or of another version, than the provider was told does not run: an event says so."""
    machine, told, other = public_pods[0].machine, provider.agent(), "0.0.0-other"
    with serve_agent(altered=True) as altered, serve_agent(version=other) as renamed:
        with provider.configured(itzo={**told, "url": altered.url}):
            pods = [own_pods.propose(PodPlan("altered", machine))]
            eventually(altered.clients, bool, within=budgets.start)
        with provider.configured(itzo={**told, "url": renamed.url, "version": other}):
            pods.append(own_pods.propose(PodPlan("renamed", machine)))
            eventually(renamed.clients, bool, within=budgets.start)
            for pod in pods:
                eventually(lambda pod=pod: arrival(pod), is_warned_of, within=budgets.start)
                consistently(lambda pod=pod: arrival(pod), is_not_running, for_=2)
