"""Virtual nodes: what their objects say, and what goes on while the provider behind them is away."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import consistently, eventually


@pytest.mark.requirement("NOD-01")
def test_a_virtual_node_is_ready_and_attracts_nothing_by_itself(virtual_nodes, cells, cell_pods, cloud_routes):
    """A virtual node is Ready, tainted and no target of load balancers; neither pod CIDR nor cloud route is its own."""
    wrong = [f"{node.name}: {what}" for node in virtual_nodes for what in node.shortcomings]
    assert not wrong, f"a virtual node that is not as it should be: {'; '.join(wrong)}"
    routes = [
        f"{pod.name}: {cidr}" for pod in cell_pods for cidr in cloud_routes.to_instance(cells.at(pod.address).instance)
    ]
    assert not routes, f"cloud routes to cells whose pods ask for none: {'; '.join(routes)}"


@pytest.mark.requirement("NOD-03")
def test_cells_go_on_without_their_provider(
    services, without, witness, probe, cells, cell_pods, near_pods, hostnets, api, budgets
):
    """While providers are away, cells, nodes and Services reach each other; afterwards the same instances go on."""
    webs = [services.of(pod, "tcp").target_named(f"service-of-{pod.name}") for pod in (*cell_pods, near_pods[0])]
    clients, near = (*cell_pods, *near_pods, *hostnets), (*near_pods, *hostnets)
    open_to_all = every_pair(clients, webs, is_open())
    eventually(lambda: probe.all(clients, webs, "tcp"), open_to_all, within=budgets.propagation)
    instances, alive = {pod.name: cells.at(pod.address).instance for pod in cell_pods}, cells.alive()

    targets = [*(probe.at(pod).tcp() for pod in (*cell_pods, *near_pods)), *webs]
    # Nobody can speak to a pod on a cell meanwhile, neither to ask from there nor to ask whether it listens.
    witnesses = [witness(pod, [one for one in targets if one.peers != (pod.name,)]) for pod in clients]
    for each in witnesses:
        each.start()
    with without("provider"):
        consistently(lambda: probe.all(near, near_pods, "tcp"), every_pair(near, near_pods, is_open()), for_=3)
    strange = [str(seen) for seen in (each.end() for each in witnesses) if seen.strange]
    assert not strange, f"not every flow went on: {'; '.join(strange)}"

    def addresses():
        return {pod.name: api.pod(pod).pod_ip for pod in cell_pods}

    consistently(addresses, lambda seen: seen == {pod.name: pod.address for pod in cell_pods}, for_=2)
    assert {pod.name: cells.at(pod.address).instance for pod in cell_pods} == instances
    extra = cells.alive() - alive
    assert not extra, f"instances that were not there before: {', '.join(sorted(extra))}"
