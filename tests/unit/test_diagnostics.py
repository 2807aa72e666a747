"""Looking into a failure never changes it, never takes long, and never raises."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from kip_conformance.fixtures import diagnostics
from kip_conformance.fixtures.phases import Planned
from kip_conformance.infra.findings import walk as walking
from kip_conformance.infra.findings.finding import Finding, Hop
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open
from kip_conformance.infra.judge.grid import Grid
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.protocol import Place

PLACES = tuple(
    Place(name, "pod", name.removesuffix("-2"), f"10.0.0.{number}", (f"10.0.0.{number}",), (8080,), "/s")
    for number, name in enumerate(("node-a", "node-a-2", "node-b", "node-b-2"), 1)
)
BROKEN = (Hop("router", "VPC", "capture", False, "dropped it", "cloud"),)


@pytest.fixture
def run(tmp_path):
    return SimpleNamespace(
        settings=SimpleNamespace(findings="on", out=tmp_path, profile=SimpleNamespace(probe_timeout=1.0)),
        description=SimpleNamespace(features=("machine-access", "capture")),
        driver=SimpleNamespace(places=PLACES),
        cluster=SimpleNamespace(service_proxy="iptables", machines={}),
    )


@pytest.fixture
def record():
    return SimpleNamespace(headline="a -> b: timeout", detail="a drawing", finding=None)


def grid(expectation=None, kind="timeout"):
    seen = {
        (client.name, server.name): Observation(kind) if client.machine != server.machine else Observation("open")
        for client in PLACES
        for server in PLACES
        if client is not server
    }
    targets = {place.name: ProbeTarget(place.name, place.address, 8080, "tcp", (place.name,)) for place in PLACES}
    made = Grid(seen, targets=targets)
    assert made != every_pair(PLACES, PLACES, expectation or is_open())
    return made


def explain(run, record, grids):
    diagnostics.explain(run, record, Planned("P2P-02", {"protocol": "tcp"}), grids)


@pytest.fixture
def walked(monkeypatch):
    cases = []

    def walk(case, scene, root, folder):
        cases.append((f"{case.client.name}-to-{case.server}", folder.relative_to(root).as_posix()))
        return Finding.of(case.client.name, case.server, BROKEN)

    monkeypatch.setattr(walking, "walk", walk)
    return cases


def test_one_case_of_each_shape_is_walked_and_the_headline_says_what_was_found(run, record, walked):
    explain(run, record, [grid()])
    assert walked == [
        ("node-a-to-node-b", "evidence/P2P-02-tcp/node-a-to-node-b"),
        ("node-b-to-node-a", "evidence/P2P-02-tcp/node-b-to-node-a"),
    ]
    assert record.headline == ("a -> b: timeout; first broken hop: router on VPC: dropped it (likely owner: cloud)")
    assert record.finding["firstBroken"] == "router"
    assert [other["client"] for other in record.finding["others"]] == ["node-b"]


def test_what_should_have_been_denied_has_no_broken_hop(run, record, walked):
    explain(run, record, [grid(is_denied, "open")])
    assert (walked, record.headline) == ([], "a -> b: timeout")


def test_it_can_be_turned_off_and_needs_machines_to_look_at(run, record, walked):
    run.settings.findings = "off"
    explain(run, record, [grid()])
    run.settings.findings, run.description.features = "on", ("capture",)
    explain(run, record, [grid()])
    assert walked == []


def test_a_defect_of_the_walk_is_noted_and_nothing_else(run, record, monkeypatch):
    def walk(*_):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(walking, "walk", walk)
    explain(run, record, [grid()])
    assert (record.headline, record.finding) == ("a -> b: timeout", None)
    assert record.detail.endswith("the path could not be walked: ZeroDivisionError: oh")


def test_a_walk_that_hangs_is_left_behind(run, record, monkeypatch):
    monkeypatch.setattr(diagnostics, "BUDGET", 0.1)
    monkeypatch.setattr(walking, "walk", lambda *_: time.sleep(3))
    began = time.monotonic()
    explain(run, record, [grid()])
    assert time.monotonic() - began < 2.5
    assert "did not end within" in record.detail
