"""Where packets for a ClusterIP are translated: on the machine that they come from, in every proxy mode."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually


@pytest.mark.requirement("SVC-18")
@pytest.mark.needs("capture")
def test_no_packet_for_a_cluster_ip_leaves_its_machine(service, probe, wire_of, pods, vip_clients):
    """No packet that is addressed to a Service's ClusterIP and port leaves a machine: it is translated before."""
    web = service(pods, "tcp")
    answered = every_pair(vip_clients, (web.target, *pods), is_open(), with_self=True)
    eventually(lambda: probe.through(vip_clients, web.target), answered, within=web.budget)

    with wire_of(vip_clients, f"tcp and (dst host {web.cluster_ip} or dst port {web.target_port})") as wire:
        assert probe.through(vip_clients, web.target) == answered
        # The control: what left translated has been captured on every machine, so the captures do see.
        endpoints = [pod.address for pod in pods]
        eventually(lambda: wire.is_seen_everywhere(endpoints, port=web.target_port), bool, within=web.budget)
        leaked = {
            machine: len(packets) for machine, packets in wire.to(web.cluster_ip, port=web.port).items() if packets
        }
    assert not leaked, f"packets to {web.cluster_ip}:{web.port} left untranslated: {leaked}"
