"""The two addresses of a cell, and what becomes of them."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.workloads.pods import PodPlan
from kip_conformance.infra.workloads.services import PortPlan

REPLACED = {"kip-conformance/behind": "replaced-cells"}


@pytest.mark.requirement("ADR-01")
def test_a_cell_has_two_addresses_of_its_subnet(cells, cell_pods):
    """A cell has exactly two private addresses, and both lie in its subnet's range."""
    seen = {pod.name: cells.at(pod.address) for pod in cell_pods}
    wrong = [
        f"{name}: {', '.join(cell.addresses)} in {cell.subnet}"
        for name, cell in seen.items()
        if len(cell.addresses) != 2 or not all(address in cell.subnet for address in cell.addresses)
    ]
    assert not wrong, f"not two addresses of the subnet: {'; '.join(wrong)}"


@pytest.mark.requirement("ADR-02")
def test_the_pod_has_the_secondary_address_to_itself(cells, cell_pods, probe):
    """The podIP is the secondary address, and inside the pod there is no other of the cell's."""
    seen = {pod: cells.at(pod.address) for pod in cell_pods}
    primary = [f"{pod.name}: {pod.address}" for pod, cell in seen.items() if pod.address == cell.management]
    assert not primary, f"podIP is the management address: {'; '.join(primary)}"
    shared = [
        f"{pod.name} has {', '.join(sorted(others))}"
        for pod, cell in seen.items()
        if (others := probe.addresses(pod) & set(cell.addresses) - {pod.address})
    ]
    assert not shared, f"the pod carries an address of the machine: {'; '.join(shared)}"


@pytest.mark.requirement("ADR-03")
def test_a_host_network_pod_has_the_management_address(cells, cell_machines, own_pods, probe):
    """A hostNetwork pod on a cell has the management address, on an interface that it sees."""
    made = own_pods.start(*(PodPlan(f"host-network-{name}", name, is_host_network=True) for name in cell_machines))
    seen = {pod: cells.at(pod.address) for pod in made}
    wrong = [
        f"{pod.name}: {pod.address}, not {cell.management}"
        for pod, cell in seen.items()
        if pod.address != cell.management
    ]
    assert not wrong, f"a hostNetwork pod has another address than its cell: {'; '.join(wrong)}"
    unseen = [pod.name for pod, cell in seen.items() if cell.management not in probe.addresses(pod)]
    assert not unseen, f"no interface in the pod has its address: {', '.join(unseen)}"


@pytest.mark.requirement("ADR-04")
def test_a_deleted_pod_releases_its_cell(cells, cell_machines, own_pods, budgets):
    """After a pod's deletion its instance is terminated, and its interface and both addresses are free."""
    made = own_pods.start(*(PodPlan(f"released-{name}", name) for name in cell_machines))
    seen = {pod: cells.at(pod.address) for pod in made}
    for pod in made:
        own_pods.delete(pod, grace=1)
    # Not first until the pods are gone: a provider may keep them for as long as their cells are there.
    eventually(
        lambda: "; ".join(f"{pod.name}: {one}" for pod, cell in seen.items() for one in cells.left_of(cell)),
        lambda left: left == "",
        within=budgets.propagation,
    )


@pytest.mark.requirement("ADR-05")
def test_a_pod_moves_to_the_address_of_its_new_cell(
    cells, cell_machines, terminate, own_pods, services, api, pods, probe, budgets
):
    """After a cell is replaced podIP is the new instance's secondary address, and nothing leads to the old one."""
    first = own_pods.start(*(PodPlan(f"replaced-{name}", name, labels=REPLACED) for name in cell_machines))
    (web,) = services.make(first, PortPlan(80, first[0].ports[0]), selector=REPLACED, namespace=own_pods.namespace)
    through = every_pair(pods, [web.target, *first], is_open())
    eventually(lambda: probe.through(pods, web.target), through, within=web.budget)

    before = {pod.name: cells.at(pod.address) for pod in first}
    for cell in before.values():
        terminate(cell)
    again = [own_pods.restarted(pod, restarts=1) for pod in first]
    after = {pod: cells.find(pod.address) for pod in again}
    wrong = [
        f"{pod.name}, once on {before[pod.name].instance}: {pod.address} of {cell.instance if cell else 'no instance'}"
        for pod, cell in after.items()
        if not cell or cell.instance == before[pod.name].instance or cell.addresses[1:] != (pod.address,)
    ]
    assert not wrong, f"podIP is not the secondary address of a new instance: {'; '.join(wrong)}"

    eventually(
        lambda: api.endpoint_addresses(web.name, web.namespace),
        lambda addresses: addresses == {pod.address for pod in again},
        within=budgets.propagation,
    )
    left = [_old_address(pod) for pod, new in zip(first, again, strict=True) if pod.address != new.address]
    expected = every_pair(pods, left, is_denied) | every_pair(pods, again, is_open())
    eventually(lambda: probe.all(pods, [*left, *again], "tcp", title="replaced"), expected, within=budgets.propagation)
    eventually(lambda: probe.through(pods, web.target, title="replaced"), through, within=web.budget)


def _old_address(pod) -> ProbeTarget:
    return ProbeTarget(f"old-address-of-{pod.name}", pod.address, pod.ports[0], "tcp", (pod.name,), pod.ports[0])
