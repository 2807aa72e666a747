"""The IP-per-pod model: a pod has one address of its own, and it is the one that others see."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.pairs import on_one_machine
from kip_conformance.infra.workloads.pods import PodPlan
from kip_conformance.infra.workloads.reading import shared_addresses


@pytest.mark.requirement("IDN-01")
def test_every_running_pod_has_a_pod_ip_of_its_own(api):
    """status.podIP is set, equals podIPs[0], and is unique among live pods outside the host network."""
    pods = api.live_pods()
    running = [pod for pod in pods if pod.phase == "Running"]
    without = [str(pod) for pod in running if not pod.pod_ip]
    assert not without, f"running without a status.podIP: {', '.join(without)}"
    differing = [f"{pod}: {pod.pod_ip}, {list(pod.pod_ips)}" for pod in running if pod.pod_ips[:1] != (pod.pod_ip,)]
    assert not differing, f"status.podIP is not the first of status.podIPs: {'; '.join(differing)}"
    shared = [f"{address}: {' and '.join(owners)}" for address, owners in shared_addresses(pods).items()]
    assert not shared, f"two pods with one address: {'; '.join(shared)}"


@pytest.mark.requirement("IDN-02")
def test_the_interface_of_a_pod_carries_its_pod_ip(api, probe, pods):
    """A pod's own interface carries its status.podIP."""
    told = {pod.name: api.pod(pod).pod_ip for pod in pods}
    carried = {pod.name: probe.addresses(pod) for pod in pods}
    differing = [
        f"{name}: status.podIP is {told[name]}, its interfaces carry {', '.join(sorted(carried[name])) or 'no address'}"
        for name in told
        if told[name] not in carried[name]
    ]
    assert not differing, "; ".join(differing)


@pytest.mark.requirement("IDN-03")
def test_the_downward_api_tells_a_pod_its_pod_ip(own_pods, pod_machines, api):
    """A container that asks the downward API for status.podIP and status.podIPs is given those of its pod's status."""
    fields = {"POD_IP": "status.podIP", "POD_IPS": "status.podIPs", "HOST_IP": "status.hostIP"}
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    started = own_pods.start(
        *(PodPlan(f"told-on-{machine}", machine, container={"env": env}) for machine in pod_machines)
    )
    told = {pod.name: {name: api.environment(pod).get(name) for name in fields} for pod in started}
    views = {pod.name: api.pod(pod) for pod in started}
    expected = {
        name: {"POD_IP": view.pod_ip, "POD_IPS": ",".join(view.pod_ips), "HOST_IP": view.host_ip}
        for name, view in views.items()
    }
    assert told == expected


@pytest.mark.requirement("IDN-04")
def test_a_server_pod_sees_the_pod_ip_of_its_client(probe, pods, protocol):
    """Between pods there is no NAT: a server sees the client's podIP as source, for every ordered pair of pods."""
    grid = probe.all(pods, pods, protocol)
    assert grid == every_pair(pods, pods, lambda client, server: is_open(source=client))


@pytest.mark.requirement("IDN-06")
def test_a_pod_keeps_its_pod_ip_when_its_container_restarts(own_pods, pod_machines, api, probe, pods):
    """When a container restarts, the pod keeps its podIP, on its interface too, and is reached there again."""
    started = own_pods.start(*(PodPlan(f"restarted-on-{machine}", machine) for machine in pod_machines))
    for pod in started:
        api.crash(pod)
    again = [own_pods.restarted(pod, restarts=1) for pod in started]
    moved = [
        f"{old.name}: from {old.address} to {new.address}"
        for old, new in zip(started, again, strict=True)
        if new.address != old.address or old.address not in probe.addresses(new)
    ]
    assert not moved, f"another podIP after the restart of a container: {'; '.join(moved)}"
    assert probe.all(pods, again, "tcp") == every_pair(pods, again, is_open())


@pytest.mark.requirement("IDN-09")
def test_every_running_pod_has_the_host_ip_of_its_node(api):
    """status.hostIP is set; for a pod on a node that runs a kubelet it is one of the node's addresses."""
    addresses = {node.name: node.addresses for node in api.kubelet_nodes()}
    running = [pod for pod in api.live_pods() if pod.phase == "Running"]
    without = [str(pod) for pod in running if not pod.host_ip]
    assert not without, f"running without a status.hostIP: {', '.join(without)}"
    foreign = [
        f"{pod}: {pod.host_ip}, {pod.node} has {', '.join(addresses[pod.node])}"
        for pod in running
        if pod.node in addresses and pod.host_ip not in addresses[pod.node]
    ]
    assert not foreign, f"status.hostIP is no address of the pod's node: {'; '.join(foreign)}"


@pytest.mark.requirement("IDN-10")
def test_two_pods_of_one_node_listen_on_one_port(probe, pods, protocol):
    """Pods on one node listen on the same port at the same time, and each is reached there by every other pod."""
    assert on_one_machine(pods, pods), "no machine runs two of the pods"
    (port,) = {pod.ports[-1] for pod in pods}
    assert probe.all(pods, pods, protocol, port=port) == every_pair(pods, pods, is_open())
