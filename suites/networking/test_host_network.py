"""Pods in the host network of their machine: which address they have, and who reaches them there."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.pods import PodPlan
from kip_conformance.infra.workloads.services import PortPlan


@pytest.mark.requirement("HNW-01")
def test_a_host_network_pod_has_its_machines_address(api, own_pods, namespace, pod_machines, probe):
    """A hostNetwork pod on a kubelet node has an address of that node; everywhere it has its podIP on an interface."""
    plans = (PodPlan(f"{namespace}-{machine}", machine, is_host_network=True) for machine in pod_machines)
    made = own_pods.start(*plans)
    of_nodes = {node.name: node.addresses for node in api.kubelet_nodes()}
    wrong = [
        f"{pod.name}: {pod.address}, its node has {', '.join(addresses)}"
        for pod in made
        if pod.address not in (addresses := of_nodes.get(api.pod(pod).node, (pod.address,)))
    ]
    assert not wrong, f"a hostNetwork pod has another address than its node: {'; '.join(wrong)}"
    unseen = [f"{pod.name}: {pod.address}" for pod in made if pod.address not in probe.addresses(pod)]
    assert not unseen, f"no interface that the pod sees has its podIP: {'; '.join(unseen)}"


@pytest.mark.requirement("HNW-02")
def test_host_network_pods_answer_and_are_endpoints(
    own_pods, services, namespace, pod_machines, vip_clients, probe, budgets
):
    """A hostNetwork pod answers at its machine's address, over TCP and UDP, and behind a Service that selects it."""
    plans = (PodPlan(f"{namespace}-{machine}", machine, is_host_network=True) for machine in pod_machines)
    made = own_pods.start(*plans)
    for protocol in ("tcp", "udp"):
        grid = probe.all(vip_clients, made, protocol, title=f"{protocol}, at its podIP")
        assert grid == every_pair(vip_clients, made, is_open())
    behind = [
        services.make(
            [pod],
            *(PortPlan(80, pod.ports[0], protocol) for protocol in ("tcp", "udp")),
            selector={"kip-conformance/place": pod.name},
            namespace=namespace,
        )
        for pod in made
    ]
    for refs in zip(*behind, strict=True):
        targets = [ref.target_named(f"vip-of-{pod.name}") for pod, ref in zip(made, refs, strict=True)]
        expected = every_pair(vip_clients, targets, lambda _, target: is_open(to=target.peers))
        protocol = refs[0].protocol
        eventually(
            lambda targets=targets, protocol=protocol: probe.all(
                vip_clients, targets, protocol, title=f"{protocol}, by ClusterIP"
            ),
            expected,
            within=budgets.propagation,
        )
