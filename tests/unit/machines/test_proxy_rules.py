"""What the rules of all machines are compared with, and what a failed wait says about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from kip_conformance.infra.judge.waits import NeverHappened, eventually
from kip_conformance.infra.machines.proxy_rules import Led, ProxyRules
from kip_conformance.infra.targets.protocol import Completed, Place
from kip_conformance.infra.workloads.services import ServiceRef

SAVED = (Path(__file__).parent / "recorded" / "iptables-save.txt").read_text()
ENDPOINTS = ("10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.2.3")
PODS = [Place(f"p{number}", "pod", "n", address, (), (8080,), "/s") for number, address in enumerate(ENDPOINTS)]
CANARY = ServiceRef("canary", "ns", "tcp", "10.96.221.178", 80, 0, 8080, (), 1.0)


class Node:
    addresses = ("10.20.1.11",)

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, argv, **_):
        return Completed(tuple(argv), 0, SAVED.encode(), b"")


def test_rules_are_read_on_every_machine_and_must_all_lead_to_exactly_these():
    rules = ProxyRules([Node("a"), Node("b")], "iptables")
    led = rules.of(CANARY)

    assert rules.lead_to(PODS, CANARY)(led)
    assert not rules.lead_to(PODS[:3], CANARY)(led)
    assert not rules.lead_to(PODS, CANARY)(Led({**led.to, "b": None}))


def test_a_failed_wait_names_machines_endpoints_and_what_was_expected():
    led = Led({"a": None, "b": frozenset(), "c": frozenset({("10.0.0.1", 80)})})
    with pytest.raises(NeverHappened) as failed:
        eventually(lambda: led, ProxyRules.lead_to(PODS[:1], CANARY), within=0)

    assert "not leading on every machine to exactly 10.244.1.2:8080 within 0 s" in str(failed.value)
    assert "a: no rule; b: no endpoint; c: 10.0.0.1:80" in str(failed.value)
