"""What a CNI promises about addresses, ranges and forwarding, and that it leaves nothing behind."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.pods import PodPlan
from kip_conformance.infra.workloads.ranges import overlapping


@pytest.mark.requirement("CNI-01")
def test_pods_of_a_node_come_from_its_pod_cidr(api):
    """The podIP of every pod outside the host network lies in a pod CIDR of its node."""
    cidrs = {node.name: node.pod_cidrs for node in api.kubelet_nodes()}
    without = [name for name, own in cidrs.items() if not own]
    assert not without, f"nodes without a spec.podCIDR: {', '.join(without)}"
    stray = [
        f"{pod}: {pod.pod_ip}, {pod.node} has {', '.join(cidrs[pod.node])}"
        for pod in api.live_pods()
        if pod.pod_ip and not pod.is_host_network and pod.node in cidrs
        if not any(ip_address(pod.pod_ip) in ip_network(cidr) for cidr in cidrs[pod.node])
    ]
    assert not stray, f"podIP outside of its node's pod CIDR: {'; '.join(stray)}"


@pytest.mark.requirement("CNI-02")
def test_the_ranges_of_services_pods_and_networks_are_disjoint(ranges, features):
    """Service ranges overlap nothing; pod CIDRs overlap neither each other nor a VPC, unless pods are in the VPC."""
    known = {each.kind for each in ranges}
    assert {"services"} <= known, f"no range of Services is known, only of {', '.join(sorted(known)) or 'nothing'}"
    shared = frozenset({"pods", "network"}) if "vpc-cni" in features else frozenset[str]()
    overlaps = overlapping(ranges, may_share=shared)
    assert not overlaps, f"overlapping ranges: {'; '.join(overlaps)}"


@pytest.mark.requirement("CNI-03")
@pytest.mark.needs("machine-access")
def test_a_machine_forwards_for_its_pods(pod_machines, not_forwarding):
    """On every machine with pods net.ipv4.ip_forward is on, for the interfaces towards its pods and the network too."""
    off = [f"{machine}: {switch}" for machine in pod_machines for switch in not_forwarding(machine)]
    assert not off, f"forwarding is off: {', '.join(off)}"


@pytest.mark.requirement("CNI-04")
@pytest.mark.needs("machine-access")
def test_a_deleted_pod_leaves_nothing_on_its_machine(own_pods, kubelet_machines, pod_traces, budgets):
    """After a pod's deletion its interface, routes, neighbours, rules and address are gone from its machine."""
    leaving = own_pods.start(*(PodPlan(f"leaving-{machine}", machine) for machine in kubelet_machines))
    known = {pod.name: pod_traces(pod) for pod in leaving}
    unknown = [name for name, look in known.items() if not {"interface", "reservation"} & look().kinds]
    assert not unknown, f"the machine of a running pod knows nothing of it: {', '.join(unknown)}"
    for pod in leaving:
        own_pods.delete(pod, grace=1)
    for pod in leaving:
        own_pods.wait_gone(pod)

    def left() -> str:
        return "; ".join(f"of {name}: {seen}" for name, look in known.items() if (seen := look()).lines)

    eventually(left, lambda lines: lines == "", within=budgets.propagation)
