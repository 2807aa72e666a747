"""Security groups: who reaches pods on cells, by what the groups say and by what really comes through."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from kip_conformance.infra.errors import NotRunnable
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.workloads.pods import PodPlan

PORTS = (80, 6443, 30080, 65000)  # privileged, an API server's, in the range of NodePorts, one of the last
GROUPS_OF_A_POD = "pod.elotl.co/security-groups"
REPAIRED_WITHIN = 120.0  # seconds: providers look at their group every minute


@pytest.mark.requirement("SGR-01")
def test_pods_on_cells_are_open_to_their_network(
    probe, places, in_network, cell_groups, cell_pods, cell_machines, own_pods
):
    """Groups let in all ranges of the network, and every place there reaches cells, at all ports and by ICMP."""

    def shut_out():
        return "; ".join(
            f"{pod.name} to {neighbour.address}: {', '.join(closed)}"
            for pod in cell_pods
            for neighbour in cell_groups.around(pod.address)
            if (closed := cell_groups.admission(pod.address).closed_to(neighbour))
        )

    # A rule may just be away because another test looks whether it comes back.
    eventually(shut_out, lambda closed: closed == "", within=REPAIRED_WITHIN)
    clients = in_network(places.of("pod", "host", "hostnet"))
    made = own_pods.start(*(PodPlan(f"open-{name}", name, ports=PORTS) for name in cell_machines))
    expected = every_pair(clients, made, is_open())
    for protocol in ("tcp", "udp"):
        for port in PORTS:
            assert probe.all(clients, made, protocol, port=port, title=f"{protocol} {port}") == expected
    assert probe.echoes(clients, made, title="ICMP echo") == expected


@pytest.mark.requirement("SGR-02")
def test_cells_are_closed_to_the_internet(probe, cells, cell_groups, cell_pods, hosts, in_network, own_pods):
    """From the internet nothing reaches a cell at its public address, unless a group of its pod's own lets it in."""
    # What leaves a private subnet for a public address comes back in by the internet gateway, as if from anywhere.
    outsiders = [host for host in in_network(hosts) if not cells.at(host.address).subnet.is_public]
    public = [pod for pod in cell_pods if cells.at(pod.address).public]
    if not (outsiders and public):
        raise NotRunnable("no cell has a public address, or no machine is in a private subnet, behind a NAT gateway")
    anybody = {GROUPS_OF_A_POD: cell_groups.admitting(["0.0.0.0/0"], beside=public[0].address)}
    machine = public[0].machine
    made = own_pods.start(
        PodPlan("as-it-is", machine, is_host_network=True),
        PodPlan("opened", machine, is_host_network=True, annotations=anybody),
    )
    for protocol in ("tcp", "udp"):
        as_it_is, opened = (_at_public_address(pod, cells.at(pod.address), protocol) for pod in made)
        expected = every_pair(outsiders, [as_it_is], is_denied) | every_pair(outsiders, [opened], is_open())
        assert probe.all(outsiders, [as_it_is, opened], protocol, title=protocol) == expected


@pytest.mark.requirement("SGR-03")
def test_the_providers_group_is_made_right_again(cells, cell_groups, cell_pods, places, latency):
    """A rule that is taken from the provider's group by hand comes back, and one that is added to it goes."""
    own = {pod: cell_groups.of_provider(pod.address) for pod in cell_pods}
    without = [pod.name for pod, group in own.items() if not group]
    assert not without, f"no security group of the provider's own on the cells of {', '.join(without)}"
    in_use = [address for place in places.of("pod", "host", "hostnet") for address in place.sources]
    in_use += [cells.at(pod.address).management for pod in cell_pods]
    with ExitStack() as stack, latency("until the groups are right again"):
        drifts = {group: stack.enter_context(cell_groups.drifted(group, in_use)) for group in sorted({*own.values()})}
        eventually(
            lambda: "; ".join(f"{group} {how}" for group, drift in drifts.items() if (how := drift())),
            lambda differing: differing == "",
            within=REPAIRED_WITHIN,
        )


@pytest.mark.requirement("SGR-06")
def test_nodes_and_cells_admit_each_other(probe, cell_groups, cell_pods, hosts, in_network):
    """The groups of nodes let in all that cells send, those of cells all that nodes send, and so it comes through."""
    nodes = in_network(hosts)
    of_nodes = {node: cell_groups.admission(node.address) for node in nodes}
    of_cells = {pod: cell_groups.admission(pod.address) for pod in cell_pods}
    closed = [
        f"{to.name} to {source.name}: {', '.join(what)}"
        for ours, others in ((of_nodes, of_cells), (of_cells, of_nodes))
        for to, admission in ours.items()
        for source, other in others.items()
        if (what := admission.closed_to(other))
    ]
    assert not closed, f"security groups are closed: {'; '.join(closed)}"
    for protocol in ("tcp", "udp"):
        there = probe.all(cell_pods, nodes, protocol, title=f"{protocol}, cells to nodes")
        assert there == every_pair(cell_pods, nodes, is_open())
        back = probe.all(nodes, cell_pods, protocol, title=f"{protocol}, nodes to cells")
        assert back == every_pair(nodes, cell_pods, is_open())


def _at_public_address(pod, cell, protocol) -> ProbeTarget:
    assert cell.public, f"{pod.name} has no public address"
    public, _ = cell.public[0]
    return ProbeTarget(f"{pod.name}-from-outside", public, pod.ports[0], protocol, (pod.name,), pod.ports[0])
