"""With pytest-xdist: the same verdicts, phases apart, results and settings that cross, and workers that die."""

from __future__ import annotations

import pytest

ROWS = """
from kip_conformance.infra.errors import HarnessError, NotRunnable

def note(text):
    with open("events.txt", "a") as stream:
        stream.write(text + "\\n")

@pytest.mark.requirement("SVC-01")
def test_service(mode, protocol, kip_run):
    note(f"item {mode}")
    assert kip_run.cluster.service_proxy == mode
    assert (mode, protocol) != ("nftables", "udp"), "node-a saw nothing"

@pytest.mark.requirement("NPT-01")
def test_node_port(mode, protocol):
    note(f"item {mode}")

@pytest.mark.requirement("P2P-01")
def test_one(): raise HarnessError("prober gone")

@pytest.mark.requirement("P2P-02")
def test_two(): raise NotRunnable("no second node")

@pytest.mark.requirement("P2P-03")
def test_three(kip_run, rng):
    note(f"seed {kip_run.settings.seed} {kip_run.worker != 'main'} {rng.random()}")
"""


def table(world):
    return [(row["requirement"], row.get("mode"), item["parameters"], item["verdict"], item.get("reason"))
            for row in world.report["rows"] for item in row["items"]]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_come_to_the_same_table_in_the_same_phases(world, workers):
    world.suite(ROWS)
    assert world.run("--kip-seed", "5").ret == 1
    alone, alone_events = table(world), world.events
    for name in ("events.txt", "mode.txt"):
        (world.path / name).unlink()
    result = world.run("--kip-seed", "5", "-n", str(workers), own_process=True)
    assert result.ret == 1
    assert table(world) == alone
    assert [line.replace(" True ", " False ") for line in world.events if line.startswith("seed")] == [
        line for line in alone_events if line.startswith("seed")
    ]
    items = [line for line in world.events if line.startswith(("item", "switch"))]
    assert items == ["item iptables"] * 4 + ["switch nftables"] + ["item nftables"] * 4
    assert [line for line in world.events if line in ("up", "down")] == ["up", "down"]


def test_results_of_workers_reach_junit_and_allure(world):
    world.suite(ROWS)
    world.run("-n", "2", own_process=True)
    text = (world.path / "out" / "junit.xml").read_text()
    assert text.count("<failure") == 1
    assert text.count("<error") == 1
    assert text.count("<skipped") == 1
    assert text.count('name="requirement"') == 11
    assert len(list((world.path / "out" / "allure-results").glob("*-result.json"))) == 11


def test_a_worker_that_dies_is_a_harness_error_of_its_item_alone(world):
    world.suite(
        """
@pytest.mark.requirement("SVC-01")
def test_service(mode, protocol):
    if (mode, protocol) == ("iptables", "udp"):
        os._exit(3)

@pytest.mark.requirement("P2P-01")
def test_one(): pass
"""
    )
    result = world.run("-n", "2", own_process=True)
    assert result.ret == 10
    assert world.verdicts == {"P2P-01": "pass", "SVC-01[iptables]": "harness-error", "SVC-01[nftables]": "pass"}
    (died,) = [item for item in world.items if item["verdict"] == "harness-error"]
    assert died["parameters"] == {"mode": "iptables", "protocol": "udp"}
    assert died["reason"].endswith("died while it was running this")
    assert world.events[-1] == "down"


def test_items_that_no_worker_was_left_to_run_are_harness_errors(world):
    world.suite(
        """
@pytest.mark.requirement("P2P-01")
def test_one(): os._exit(3)

@pytest.mark.requirement("P2P-02")
def test_two(): pass
"""
    )
    assert world.run("-n", "1", "--max-worker-restart", "0", own_process=True).ret == 10
    assert world.verdicts == {"P2P-01": "harness-error", "P2P-02": "harness-error"}


def test_a_switch_that_fails_at_the_barrier_reaches_every_worker(world):
    world.tell(switch_fails=["nftables"])
    world.suite(ROWS)
    assert world.run("-n", "2", own_process=True).ret == 10
    assert world.verdicts["NPT-01[iptables]"] == "pass"
    assert world.verdicts["NPT-01[nftables]"] == "harness-error"
    assert world.verdicts["SVC-01[nftables]"] == "harness-error"
    assert world.events.count("switch nftables") == 1


DISRUPTIVE = """
def note(text):
    with open("events.txt", "a") as stream:
        stream.write(text + "\\n")

@pytest.mark.requirement("PXY-05")
@pytest.mark.parametrize("component", ["one", "two"])
def test_disruption(mode, component):
    note(f"begins {mode}")
    note(f"ends {mode}")

@pytest.mark.requirement("SVC-01")
def test_service(mode, protocol):
    note(f"item {mode}")

@pytest.mark.requirement("NPT-01")
def test_node_port(mode, protocol):
    note(f"item {mode}")
"""


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_disruptive_rows_run_last_in_each_mode_and_alone(world, workers):
    world.suite(DISRUPTIVE)
    world.tell(features=["exec", "node-port", "disruptable"])
    assert world.run("-n", str(workers), own_process=True).ret == 0
    events = [line for line in world.events if not line.startswith(("up", "down"))]
    ordinary, alone = (lambda mode: [f"item {mode}"] * 4), (lambda mode: [f"begins {mode}", f"ends {mode}"] * 2)
    first, second = ([*ordinary(mode), *alone(mode)] for mode in ("iptables", "nftables"))
    assert events == [*first, "switch nftables", *second]
