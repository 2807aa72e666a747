"""Pods reach each other at their podIPs. With which source is judged by the identity rows alone."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.pairs import across_machines, each_of, on_one_machine


@pytest.mark.requirement("P2P-01")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_pods_on_one_node_reach_each_other(probe, pods, protocol):
    """A pod can open a TCP connection to every other pod on its node."""
    pairs = on_one_machine(pods, pods)
    assert probe.pairs(pairs, protocol) == each_of(pairs, is_open())


@pytest.mark.requirement("P2P-02")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_pods_reach_each_other_across_nodes(probe, pods, protocol):
    """A pod can open a TCP connection to every pod on every other node, in both directions."""
    pairs = across_machines(pods, pods)
    assert probe.pairs(pairs, protocol) == each_of(pairs, is_open())


@pytest.mark.requirement("P2P-03")
@pytest.mark.parametrize("protocol", ["udp"])
def test_datagrams_between_pods_arrive_and_are_answered(probe, pods, protocol):
    """A UDP datagram between any two pods arrives unaltered, and so does its reply."""
    grid = probe.all(pods, pods, protocol)
    assert grid == every_pair(pods, pods, is_open())
