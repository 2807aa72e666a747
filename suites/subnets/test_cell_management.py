"""The management channel between a provider and its cells."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open
from kip_conformance.infra.judge.waits import consistently, eventually
from kip_conformance.infra.workloads.agent_port import AGENT_PORT, REFUSED, UNAUTHORIZED, foreign_identity
from kip_conformance.infra.workloads.arrivals import is_running
from kip_conformance.infra.workloads.interference import (
    MEDDLER,
    READY_UNTIL_TOLD,
    flush_routes_and_spoof,
    occupy_and_flood,
    turn_unready,
)
from kip_conformance.infra.workloads.pods import PodPlan
from kip_conformance.infra.workloads.policies import deny_all
from kip_conformance.infra.workloads.readiness import no_pod_ready
from kip_conformance.infra.workloads.reading import Ran

CLOSED = {"kip-conformance/closed": "to-everybody"}
FLOOD = 5.0  # seconds: longer than a log and an exec take


@pytest.mark.requirement("MGT-01")
def test_a_pod_cannot_keep_its_cell_from_being_managed(cells, cell_machines, own_pods, api, readiness, budgets):
    """With a pod's ports full, load on its cell, and its routes gone, logs, exec and status work as before."""
    container = {**MEDDLER, **READY_UNTIL_TOLD}
    made = own_pods.start(*(PodPlan(f"meddler-{name}", name, container=container) for name in cell_machines))
    management = {pod: cells.at(pod.address).management for pod in made}

    for pod in made:
        occupy_and_flood(api, pod, management[pod], AGENT_PORT, seconds=FLOOD)
        failing = _unmanaged(api, pod)
        assert not failing, f"{pod.name}, with ports full and under load: {failing}"

    for pod in made:
        flush_routes_and_spoof(api, pod, management[pod])
        failing = _unmanaged(api, pod)
        assert not failing, f"{pod.name}, without routes, with its cell's own address: {failing}"
    for pod in made:
        turn_unready(api, pod)
    eventually(lambda: readiness.of(made), no_pod_ready, within=budgets.propagation)


def _unmanaged(api, pod) -> str:
    """What of exec and logs does not work, in words. A log is not waited for where exec has failed."""
    if (ran := api.run(pod, ["/bin/true"])) != Ran(0):
        return f"exec: {ran}"
    return "" if f"prober {pod.name} ready" in api.logs(pod) else "its log does not hold the line that it wrote"


@pytest.mark.requirement("MGT-02")
def test_agents_and_kubelet_ports_refuse_whom_they_do_not_know(
    cells, cell_pods, virtual_nodes, one_pod_a_machine, knock, api
):
    """Without a certificate, or with a foreign one, agents end the handshake, and kubelet ports answer nothing."""
    client = one_pod_a_machine[0]
    identities = {"no certificate": "", "a foreign certificate": foreign_identity()}
    said = {
        f"{pod.name}, {what}": knock(client, cells.at(pod.address).management, identity)
        for pod in cell_pods
        for what, identity in identities.items()
    }
    assert said == dict.fromkeys(said, REFUSED)
    answered = {
        f"{node.name}, {what}": answer
        for node in virtual_nodes
        for what, identity in identities.items()
        if (answer := knock(client, node.address, identity, port=node.kubelet_port, path="/pods"))
        not in (REFUSED, UNAUTHORIZED)
    }
    assert not answered, f"kubelet ports answer anybody: {answered}"
    # The provider's own way, and the API server's, are the proof that the ports answer at all.
    silent = [pod.name for pod in cell_pods if api.run(pod, ["/bin/true"]).exit_code != 0]
    assert not silent, f"no exec by the provider itself: {', '.join(silent)}"


@pytest.mark.requirement("MGT-03")
def test_pods_under_default_deny_are_managed(
    cell_machines, own_pods, objects, api, arrival, readiness, one_pod_a_machine, probe, budgets
):
    """While policies let nothing into a pod and nothing out of it, logs, exec and status work, and it can start."""
    others, plans = (
        one_pod_a_machine,
        [PodPlan(f"closed-{name}", name, labels=CLOSED, container=READY_UNTIL_TOLD) for name in cell_machines],
    )
    made = own_pods.start(*plans)
    assert _both_ways(probe, others, made) == every_pair(others, made, is_open()) | every_pair(made, others, is_open())
    objects.create(deny_all("closed", own_pods.namespace, CLOSED))
    # Probes of these pods go by exec, too: that it works is judged before anything is asked of them.
    consistently(lambda: _all_unmanaged(api, made), nothing_fails, for_=budgets.propagation)
    closed = every_pair(others, made, is_denied) | every_pair(made, others, is_denied)
    eventually(lambda: _both_ways(probe, others, made), closed, within=budgets.propagation)

    failing = _all_unmanaged(api, made)
    assert not failing, f"under default deny: {failing}"
    for pod in made:
        turn_unready(api, pod)
    eventually(lambda: readiness.of(made), no_pod_ready, within=budgets.propagation)
    for pod in [own_pods.propose(PodPlan(f"late-{name}", name, labels=CLOSED)) for name in cell_machines]:
        eventually(lambda pod=pod: arrival(pod), is_running, within=budgets.start)
    assert _both_ways(probe, others, made) == closed


def nothing_fails(failing) -> bool:
    return not failing


def _all_unmanaged(api, pods) -> dict[str, str]:
    return {pod.name: what for pod in pods if (what := _unmanaged(api, pod))}


def _both_ways(probe, others, made):
    pairs = [pair for one in others for pod in made for pair in ((one, pod), (pod, one))]
    return probe.pairs(pairs, "tcp", title="both ways")


@pytest.mark.requirement("IMD-01")
def test_the_metadata_address_answers_cells_and_not_their_pods(metadata, cell_pods, cell_machines, own_pods):
    """The instance metadata address answers what is on a cell's own network, and no pod that has one of its own."""
    made = own_pods.start(*(PodPlan(f"metadata-{name}", name, is_host_network=True) for name in cell_machines))
    silent = [pod.name for pod in made if not metadata(pod).startswith("answered 200")]
    assert not silent, f"on the cell itself there is no token from the metadata address: {', '.join(silent)}"
    heard = {pod.name: metadata(pod) for pod in cell_pods}
    assert heard == dict.fromkeys(heard, "")
