"""Where cells go: the subnet of their provider, and whether they have a public address there."""

from __future__ import annotations

import itertools

import pytest
from kip_conformance.infra.errors import NotRunnable
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.arrivals import is_running
from kip_conformance.infra.workloads.pods import PodPlan

NO_SUBNET = "subnet-0123456789abcdef0"
PRIVATE_ONLY = {"pod.elotl.co/private-ip-only": "true"}


@pytest.mark.requirement("PLC-01")
def test_cells_are_in_the_subnet_of_their_provider(cells, cell_machines, own_pods, api):
    """A new cell is in the subnet and zone of the instance that its provider runs on: the one at status.hostIP."""
    made = own_pods.start(*(PodPlan(f"placed-{name}", name) for name in cell_machines))
    places = {pod.name: (cells.at(pod.address).subnet, cells.at(api.pod(pod).host_ip).subnet) for pod in made}
    wrong = [f"{name}: in {own}, its provider in {its}" for name, (own, its) in places.items() if own != its]
    assert not wrong, f"a cell in another subnet than its provider: {'; '.join(wrong)}"


@pytest.mark.requirement("PLC-02")
def test_a_provider_outside_puts_cells_where_it_is_told(
    outside_provider, cells, private_pods, own_pods, arrival, budgets
):
    """Outside of the cloud's network cells are in the subnet that provider.yaml names; without it there is no start."""
    for subnet, named in {"": "subnetID", NO_SUBNET: NO_SUBNET}.items():
        said = outside_provider.refusal(subnet)
        assert said, f"a provider outside starts with {subnet or 'no subnet'} in provider.yaml"
        assert named in said, f"why it does not start with {subnet or 'no subnet'} does not name {named}: {said}"
    told = cells.at(private_pods[-1].address).subnet
    pod = own_pods.propose(PodPlan("told", outside_provider.start(told.id)))
    cell = cells.at(eventually(lambda: arrival(pod), is_running, within=budgets.start).address)
    assert cell.subnet == told, f"the cell of a provider that is told {told} is in {cell.subnet}"


@pytest.mark.requirement("PUB-01")
def test_a_cell_in_a_public_subnet_has_a_public_address(cells, cell_machines, own_pods):
    """A new cell in a public subnet has one public address, which is translated to the management address."""
    made = own_pods.start(*(PodPlan(f"public-{name}", name) for name in cell_machines))
    found = {pod.name: cell for pod in made if (cell := cells.at(pod.address)).subnet.is_public}
    if not found:
        raise NotRunnable("no virtual node has its cells in a public subnet")
    wrong = [
        f"{name}: {cell.public or 'none'}"
        for name, cell in found.items()
        if [private for _, private in cell.public] != [cell.management]
    ]
    assert not wrong, f"not one public address for the management address: {'; '.join(wrong)}"


@pytest.mark.requirement("PUB-02")
def test_a_cell_that_asks_for_private_addresses_only_gets_them(cells, cell_machines, own_pods):
    """With the annotation private-ip-only a new cell has no public address, in a public subnet either."""
    made = own_pods.start(*(PodPlan(f"reserved-{name}", name, annotations=PRIVATE_ONLY) for name in cell_machines))
    found = {pod.name: cell for pod in made if (cell := cells.at(pod.address)).subnet.is_public}
    if not found:
        raise NotRunnable("no virtual node has its cells in a public subnet")
    wrong = [f"{name}: {public}" for name, cell in found.items() for public, _ in cell.public]
    assert not wrong, f"a public address in spite of the annotation: {'; '.join(wrong)}"


@pytest.mark.requirement("PUB-03")
def test_a_cell_in_a_private_subnet_has_no_public_address(cells, cell_pods):
    """No cell in a private subnet has a public address."""
    found = {pod.name: cell for pod in cell_pods if not (cell := cells.at(pod.address)).subnet.is_public}
    if not found:
        raise NotRunnable("no place is on a cell in a private subnet")
    wrong = [f"{name}: {public}" for name, cell in found.items() for public, _ in cell.public]
    assert not wrong, f"a public address in a private subnet: {'; '.join(wrong)}"


@pytest.mark.requirement("PUB-04")
def test_a_subnet_is_what_its_route_table_makes_of_it(
    cells, public_pods, private_pods, route_tables, own_pods, budgets
):
    """A new cell has a public address when the table in force, its subnet's own or else the main one, says so."""
    place, numbers = public_pods[0], itertools.count(1)
    subnet = cells.at(place.address).subnet
    public, private = (route_tables.of(cells.at(pod.address).subnet) for pod in (place, private_pods[0]))

    def public_addresses():
        """Those of a new cell."""
        with own_pods.one(PodPlan(f"classified-{next(numbers)}", place.machine)) as pod:
            return cells.at(pod.address).public

    with route_tables.arranged(subnet, own=private, main=public):
        eventually(public_addresses, without_a_public_address, within=budgets.start)
    with route_tables.arranged(subnet, main=public):
        eventually(public_addresses, with_a_public_address, within=budgets.start)
    with route_tables.arranged(subnet, main=private):
        eventually(public_addresses, without_a_public_address, within=budgets.start)


def without_a_public_address(found) -> bool:
    return not found


def with_a_public_address(found) -> bool:
    return bool(found)
