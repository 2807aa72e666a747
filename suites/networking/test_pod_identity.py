"""The IP-per-pod model: a pod has one address of its own, and it is the one that others see."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
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


@pytest.mark.requirement("IDN-04")
def test_a_server_pod_sees_the_pod_ip_of_its_client(probe, pods, protocol):
    """Between pods there is no NAT: a server sees the client's podIP as source, for every ordered pair of pods."""
    grid = probe.all(pods, pods, protocol)
    assert grid == every_pair(pods, pods, lambda client, server: is_open(source=client))
