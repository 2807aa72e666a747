"""What becomes of a connection that nobody serves, or that nobody uses for a while."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open, is_refused
from kip_conformance.infra.probe.probe_target import ProbeTarget

CLOSED = 9  # discard: no prober listens there
IDLE = {"idle-2s": 2, "idle-5min": 300}


@pytest.mark.requirement("P2P-06")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_a_closed_port_of_a_pod_refuses_at_once(probe, pods, protocol):
    """A TCP connect to a port of a pod on which nobody listens is refused with RST, while open ports answer."""
    assert probe.all(pods, pods, protocol, title="open port") == every_pair(pods, pods, is_open())
    closed = [ProbeTarget(pod.name, pod.address, CLOSED, protocol, peers=()) for pod in pods]
    assert probe.all(pods, closed, protocol, title="closed port") == every_pair(pods, closed, is_refused)


@pytest.mark.requirement("P2P-06")
@pytest.mark.parametrize("idle", ["idle-2s", pytest.param("idle-5min", marks=pytest.mark.nightly)])
def test_an_idle_connection_survives(probe, pods, idle):
    """A TCP connection on which nothing is sent for a while still carries a request and its answer."""
    assert probe.all(pods, pods, "tcp", idle=IDLE[idle], title="idle connection") == every_pair(pods, pods, is_open())
