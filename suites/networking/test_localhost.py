"""The loopback interface of a pod, and what containers of one pod share."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import is_open
from kip_conformance.infra.judge.pairs import each_of
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.workloads.pods import PodPlan, Sidecar
from kip_conformance.infra.workloads.ports import PORT_TAKEN

BESIDE, FREE = 8090, 8099


@pytest.mark.requirement("LOC-01")
def test_containers_of_one_pod_reach_each_other_on_localhost(own_pods, pod_machines, probe, protocol):
    """Containers of one pod reach each other's ports at 127.0.0.1, and see the same interfaces and addresses."""
    plans = [
        PodPlan(f"one-on-{machine}", machine, sidecars=(Sidecar(f"other-on-{machine}", (BESIDE,)),))
        for machine in pod_machines
    ]
    both = [(pod, *own_pods.sidecars(pod)) for pod in own_pods.start(*plans)]
    pairs = [
        (client, ProbeTarget(server.name, "127.0.0.1", server.ports[0], protocol, (server.name,), server.ports[0]))
        for one, other in both
        for client, server in ((one, other), (other, one))
    ]
    assert probe.pairs(pairs, protocol) == each_of(pairs, is_open())
    seen = {place.name: probe.interfaces(place) for pair in both for place in pair}
    differing = [f"{one.name} and {other.name}" for one, other in both if seen[one.name] != seen[other.name]]
    assert not differing, f"containers of one pod see different interfaces: {', '.join(differing)}"


@pytest.mark.requirement("LOC-02")
def test_containers_of_one_pod_share_its_ports(own_pods, pod_machines, binding, pods, protocol):
    """A port that one container has taken cannot be bound in another of its pod; in another pod it can."""
    plans = [
        PodPlan(f"taking-on-{machine}", machine, sidecars=(Sidecar(f"beside-on-{machine}", (BESIDE,)),))
        for machine in pod_machines
    ]
    taking = own_pods.start(*plans)
    beside = [*(sidecar for pod in taking for sidecar in own_pods.sidecars(pod))]
    tried = {
        **{f"{place.name}, port taken": binding(place, protocol, taking[0].ports[0]) for place in beside},
        **{f"{place.name}, free port": binding(place, protocol, FREE) for place in beside},
        **{f"{place.name}, port taken in another pod": binding(place, protocol, BESIDE) for place in pods},
    }
    expected = {case: PORT_TAKEN if case.endswith("port taken") else "bound" for case in tried}
    assert tried == expected


@pytest.mark.requirement("NOD-04")
def test_the_loopback_interface_is_up_in_every_pod(probe, pods):
    """In every pod the interface lo is up and carries 127.0.0.1."""
    loopbacks = {pod.name: [each for each in probe.interfaces(pod) if each.name == "lo"] for pod in pods}
    missing = [
        f"{name}: {', '.join(map(str, found)) or 'no interface lo'}"
        for name, found in loopbacks.items()
        if not any(each.is_up and "127.0.0.1/8" in each.addresses for each in found)
    ]
    assert not missing, f"loopback is not up with 127.0.0.1/8: {'; '.join(missing)}"
