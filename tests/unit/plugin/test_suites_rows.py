"""The first ten rows, on a network that is a file: each is green on a sound one, and its own defect reddens it.

Rows that make pods, read machines or resolve names have no such stand-in: their tests are the lab and the faults.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

PODS = ("node-a", "node-a-2", "node-b", "node-b-2")
GREEN = {"IDN-01", "IDN-02", "IDN-04", "N2P-01", "N2P-07", "P2P-01", "P2P-02", "P2P-03", "SVC-01", "NPT-01"}

_CONFTEST = """
import sys
sys.path.insert(0, str(Path(__file__).parent / "kip-world"))
sys.modules.pop("fake", None)
import network
network.install()
"""


@pytest.fixture
def suites(world, monkeypatch):
    """Runs the suites; returns the requirements by verdict."""
    from kip_conformance.fixtures import run
    from kip_conformance.infra.workloads import reading, services

    # The run below puts its own in these places; they are given back after it.
    for module, name in ((run, "open_driver"), (reading, "KubeApi"), (services, "KubeApi"), (reading, "_run")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.syspath_prepend(str(world.path / "kip-world"))
    shutil.copy(Path(__file__).with_name("network.py"), world.path / "kip-world" / "network.py")
    conftest = world.path / "conftest.py"
    conftest.write_text(conftest.read_text() + _CONFTEST)

    def judge(*arguments, **defects):
        world.tell(**defects)
        profile = ["--profile", "propagation=0.05"]
        if "--requirement" not in arguments:
            profile += [part for identifier in sorted(GREEN) for part in ("--requirement", identifier)]
        world.result = world.run("--pyargs", "kip_conformance.suites", *profile, *arguments)
        found: dict[str, set[str]] = {}
        for row in world.report["rows"]:
            found.setdefault(row["verdict"], set()).add(row["requirement"])
        return found

    return judge


def test_every_row_is_green_on_a_sound_network_and_leaves_nothing(suites, world):
    assert suites() == {"pass": GREEN}
    assert world.result.ret == 0
    created = [event for event in world.events if event.startswith("create")]
    assert len(created) == 6
    assert world.events.count("delete Service") == len(created)
    (profile,) = world.report["profiles"]
    assert profile["result"] == "partial"
    assert profile["why"].endswith("only a selection was run")


def test_a_budget_beyond_its_cap_is_no_conformance(suites, world):
    assert suites("--profile", "propagation=100") == {"pass": GREEN}
    (profile,) = world.report["profiles"]
    assert profile["why"].endswith("; budget beyond its cap: propagation")


DROPS = {
    "one-direction": ([["node-a", "node-b", protocol] for protocol in ("tcp", "udp")], {"IDN-04", "P2P-02", "P2P-03"}),
    "udp": ([[one, other, "udp"] for one in PODS for other in PODS], {"IDN-04", "P2P-03"}),
    "one-node": ([["node-a", "node-a-2", "tcp"]], {"IDN-04", "P2P-01"}),
    "host": ([["host-b", "node-b", "tcp"]], {"N2P-01"}),
    "hostnet": ([["hostnet-a", "node-a-2", "udp"]], {"N2P-01"}),
}


@pytest.mark.parametrize(("drop", "red"), DROPS.values(), ids=DROPS)
def test_dropped_traffic_reddens_the_rows_about_it(suites, drop, red):
    rows = [part for identifier in sorted(GREEN - {"SVC-01", "NPT-01"}) for part in ("--requirement", identifier)]
    assert suites(*rows, drop=drop)["fail"] == red


@pytest.mark.parametrize(
    ("defect", "red"),
    [
        ({"snat": ["node-a"]}, {"IDN-04"}),
        ({"snat": ["host-a"]}, {"N2P-01"}),
        ({"renumbered": ["node-b"]}, {"IDN-02"}),
        ({"shared": ["node-b", "node-b-2"]}, {"IDN-01", "IDN-02"}),
        ({"without_ip": ["node-b"]}, {"IDN-01", "IDN-02"}),
        ({"second": ["node-b"]}, {"IDN-01"}),
        ({"never": ["node-b-2"]}, {"SVC-01"}),
        ({"dead": ["nodeport-node-b"]}, {"NPT-01"}),
        ({"dead": ["clusterip"]}, {"SVC-01"}),
        ({"no_logs": ["node-a"]}, {"N2P-07"}),
        ({"no_exec": ["node-a"]}, {"N2P-07"}),
    ],
    ids=lambda value: "-".join(value) + "-" + value[next(iter(value))][0] if isinstance(value, dict) else None,
)
def test_a_defect_reddens_its_rows_and_no_other(suites, world, defect, red):
    assert suites("--proxy-mode", "iptables", **defect) == {"fail": red, "pass": GREEN - red}
    assert world.result.ret == 1
    assert all(item["headline"] for item in world.items if item["verdict"] == "fail")


def test_probers_that_are_silent_are_harness_errors_and_no_row_fails(suites, world):
    verdicts = suites(silent=True)
    assert "fail" not in verdicts
    assert verdicts["harness-error"] == GREEN - {"IDN-01", "IDN-02", "N2P-07"}
    assert world.result.ret == 10


def test_a_missing_endpoint_is_named_in_the_headline(suites, world):
    suites("--requirement", "SVC-01", "--proxy-mode", "nftables", never=["node-b-2"])
    headlines = {item["headline"] for item in world.items}
    assert len(headlines) == 1
    assert headlines.pop().startswith("node-a -> node-b-2: expected open, saw wrong_peer(none: never chosen in 77")


def test_a_place_of_another_kind_joins_every_row_without_an_edit(suites, world):
    """A pod on a machine that no test knows, such as a cell: it is client and server of every pod row at once."""
    cell = ["cell-a", "cell-a", "10.0.9.9"]
    assert suites("--proxy-mode", "iptables", extra=[cell]) == {"pass": GREEN}
    red = suites("--proxy-mode", "iptables", extra=[cell], drop=[["cell-a", "node-b", "tcp"]])["fail"]
    assert red == {"IDN-04", "P2P-02", "SVC-01", "NPT-01"}
    headlines = [item["headline"] for item in world.items if item["verdict"] == "fail"]
    assert all(headline.startswith("cell-a -> ") for headline in headlines), headlines


def test_one_pair_alone(suites, world):
    drop = [["node-a", "node-b", "tcp"]]
    assert suites("--pair", "node-a-to-node-b", "--requirement", "P2P-02", drop=drop) == {"fail": {"P2P-02"}}
    assert world.items[0]["grids"][0]["failed"] == 1
    assert world.items[0]["grids"][0]["passed"] == 0
    assert suites("--pair", "node-a-to-node-b-2", "--requirement", "P2P-02", drop=drop) == {"pass": {"P2P-02"}}
    assert suites("--pair", "node-a-to-node-b", "--requirement", "P2P-01") == {"not-runnable": {"P2P-01"}}
