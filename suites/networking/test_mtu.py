"""Packets of every size: the path MTU between pods, and large transfers by every way to a pod."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.answered import as_wanted
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.services import PortPlan

_MIB = 1 << 20
_BYTES = {"tcp": _MIB, "udp": 2000}


@pytest.mark.requirement("MTU-01")
def test_whole_packets_pass_between_pods(probe, pods):
    """A packet as large as both interfaces allow passes unfragmented, and a larger one does not vanish silently."""
    assert probe.whole_packets(pods, pods) == every_pair(pods, pods, as_wanted)


@pytest.mark.requirement("MTU-02")
def test_large_transfers_arrive_whole(probe, services, api, pods, one_pod_a_machine, budgets, protocol):
    """1 MiB over TCP, and 2 kB over UDP, pass both ways by podIP, by ClusterIP and by NodePort."""
    large = {"size": _BYTES[protocol], "reply_size": _BYTES[protocol], "timeout": 3 * budgets.probe_timeout}
    assert probe.all(pods, pods, protocol, title="by podIP", **large) == every_pair(pods, pods, is_open())
    made = [
        services.make(
            [pod],
            PortPlan(80, pod.ports[0], protocol),
            selector={"kip-conformance/place": pod.name},
            spec={"type": "NodePort"},
        )[0]
        for pod in one_pod_a_machine
    ]
    targets = {
        each: [
            each.target_named(f"vip-of-{each.endpoints[0]}"),
            *(each.on(node, name=f"nodeport-{node.name}-of-{each.endpoints[0]}") for node in api.kubelet_nodes()),
        ]
        for each in made
    }
    every = [target for each in made for target in targets[each]]
    expected = every_pair(pods, every, is_open())
    eventually(lambda: probe.all(pods, every, protocol, title="small"), expected, within=made[0].budget)
    # One Service after the other: what all transfers at once take is the machines' own speed, not the network's.
    for each in made:
        title, expected = (
            f"by ClusterIP and NodePort of {each.endpoints[0]}",
            every_pair(pods, targets[each], is_open()),
        )
        assert probe.all(pods, targets[each], protocol, title=title, **large) == expected
