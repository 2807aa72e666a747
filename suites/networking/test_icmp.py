"""ICMP between pods."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open


@pytest.mark.requirement("P2P-07")
def test_pods_answer_each_others_echo_requests(probe, pods):
    """An ICMP echo request between any two pods is answered with its data."""
    assert probe.echoes(pods, pods) == every_pair(pods, pods, is_open())
