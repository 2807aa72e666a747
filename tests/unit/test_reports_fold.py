"""How items become rows, rows a profile result, and a profile result an exit code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from kip_conformance.infra.judge.verdict import Verdict
from kip_conformance.reports.fold import Outcome, ReportError, Statistics, conclude
from kip_conformance.reports.model import Case, ItemResult, RunInfo
from kip_conformance.reports.requirements import Profile, Registry, Requirement

RUN = RunInfo(
    run_id="k7f3",
    target="lab",
    is_lab=True,
    implementation="CNI routed",
    suite_version="0.1.0",
    started="2026-01-05T10:00:00+00:00",
    seed=1,
    modes=("iptables", "nftables"),
    places=("node-a", "node-b"),
    features=("exec",),
    versions={},
)


def row(identifier: str, **keys: Any) -> Requirement:
    values: dict[str, Any] = {
        "title": "t",
        "sentence": "It MUST.",
        "level": "M",
        "profile": "networking",
        "section": "s",
        "features": (),
        "proxy": "none",
        "lane": "default",
        "since": "0.1.0",
        "source": ("new",),
    }
    return Requirement(identifier, **{**values, **keys})


def registry(*rows: Requirement) -> Registry:
    profiles = [Profile("networking", "Networking", ()), Profile("cells", "Cells", ("cells",))]
    return Registry({each.id: each for each in rows}, {each.name: each for each in profiles})


def item(identifier: str, verdict: Verdict, mode: str = "", protocol: str = "", partial: bool = False) -> ItemResult:
    parameters = {**({"mode": mode} if mode else {}), **({"protocol": protocol} if protocol else {})}
    return ItemResult(identifier, parameters, verdict, partial=partial, duration=1.5)


def networking(outcome: Outcome) -> tuple[str, str]:
    return outcome.profiles[0].result, outcome.profiles[0].why


ONE = registry(row("AAA-01"))


@pytest.mark.parametrize(
    ("verdicts", "folded"),
    [
        (("pass", "pass"), "pass"),
        (("pass", "not-runnable"), "not-runnable"),
        (("not-runnable", "harness-error", "pass"), "harness-error"),
        (("harness-error", "fail", "pass"), "fail"),
    ],
)
def test_the_gravest_item_decides_the_row(verdicts: tuple[Verdict, ...], folded: str) -> None:
    outcome = conclude(RUN, [item("AAA-01", verdict, protocol=f"p{n}") for n, verdict in enumerate(verdicts)], ONE)
    assert [(each.key, each.verdict) for each in outcome.rows] == [("AAA-01", folded)]
    assert outcome.rows[0].duration == 1.5 * len(verdicts)


def test_each_proxy_mode_is_a_row_of_its_own_and_protocols_are_not() -> None:
    results = [
        item("AAA-01", "pass", mode="nftables", protocol="udp"),
        item("AAA-01", "fail", mode="iptables", protocol="udp"),
        item("AAA-01", "pass", mode="nftables", protocol="tcp"),
    ]
    outcome = conclude(RUN, results, registry(row("AAA-01", proxy="each")))
    assert [(each.key, each.verdict) for each in outcome.rows] == [
        ("AAA-01[nftables]", "pass"),
        ("AAA-01[iptables]", "fail"),
    ]
    assert [each.key for each in outcome.rows[0].items] == ["AAA-01[nftables-tcp]", "AAA-01[nftables-udp]"]


def test_a_row_judged_once_has_no_mode_even_when_its_item_knows_one() -> None:
    assert [each.key for each in conclude(RUN, [item("AAA-01", "pass", mode="iptables")], ONE).rows] == ["AAA-01"]


def test_rows_come_in_the_order_of_the_registry() -> None:
    both = registry(row("BBB-01"), row("AAA-01"))
    assert [each.key for each in conclude(RUN, [item("AAA-01", "pass"), item("BBB-01", "pass")], both).rows] == [
        "BBB-01",
        "AAA-01",
    ]


def test_an_item_of_an_unknown_row_is_a_defect_of_the_suite() -> None:
    with pytest.raises(ReportError, match="ZZZ-01 is not registered"):
        conclude(RUN, [item("ZZZ-01", "pass")], ONE)


def test_all_passed_is_conformant() -> None:
    outcome = conclude(RUN, [item("AAA-01", "pass")], ONE)
    assert networking(outcome) == ("conformant", "")
    assert outcome.exit_code == 0
    assert outcome.statistics == Statistics(passed=1)


def test_a_profile_whose_features_are_not_declared_does_not_bind() -> None:
    assert [each.name for each in conclude(RUN, [item("AAA-01", "pass")], ONE).profiles] == ["networking"]
    declared = replace(RUN, features=("cells",))
    assert [each.name for each in conclude(declared, [item("AAA-01", "pass")], ONE).profiles] == ["networking", "cells"]


@pytest.mark.parametrize(
    ("changes", "results", "why"),
    [
        ({}, [item("AAA-01", "pass", partial=True)], "1 row of level M judged in part only"),
        ({}, [item("AAA-01", "not-runnable")], "1 row of level M not-runnable"),
        ({}, [], "1 row of level M not run"),
        ({"is_selection_complete": False}, [item("AAA-01", "pass")], "only a selection was run"),
    ],
)
def test_what_makes_a_profile_partial_and_leaves_the_exit_code(
    changes: dict[str, Any], results: list[ItemResult], why: str
) -> None:
    outcome = conclude(replace(RUN, **changes), results, ONE)
    assert networking(outcome) == ("partial", why)
    assert outcome.exit_code == 0


def test_a_pass_on_some_places_only_is_called_partial() -> None:
    outcome = conclude(RUN, [item("AAA-01", "pass", partial=True), item("AAA-01", "pass", protocol="udp")], ONE)
    assert outcome.rows[0].label == "pass (partial)"
    assert outcome.statistics == Statistics(passed=1, partial=1)


def test_a_fail_outweighs_what_could_not_be_run() -> None:
    both = registry(row("AAA-01"), row("BBB-01"))
    outcome = conclude(RUN, [item("AAA-01", "fail"), item("BBB-01", "harness-error")], both)
    assert networking(outcome) == ("not conformant", "1 row failed; 1 row with a harness-error")
    assert outcome.exit_code == 1


def test_a_harness_error_is_no_verdict() -> None:
    outcome = conclude(RUN, [item("AAA-01", "harness-error")], ONE)
    assert networking(outcome) == ("partial", "1 row with a harness-error")
    assert outcome.exit_code == 10


def test_a_should_that_fails_changes_neither_profile_nor_exit_code() -> None:
    both = registry(row("AAA-01"), row("BBB-01", level="S"))
    outcome = conclude(RUN, [item("AAA-01", "pass"), item("BBB-01", "fail")], both)
    assert networking(outcome) == ("conformant", "")
    assert (outcome.exit_code, outcome.statistics.failed) == (0, 1)
    assert outcome.profiles[0].by_level["S"] == Statistics(failed=1)


def test_an_extended_row_binds_only_where_its_feature_is_declared() -> None:
    both = registry(row("AAA-01"), row("BBB-01", level="X", features=("sctp",)))
    undeclared = conclude(RUN, [item("AAA-01", "pass"), item("BBB-01", "not-runnable")], both)
    assert (networking(undeclared), undeclared.exit_code) == (("conformant", ""), 0)
    declared = conclude(RUN, [item("AAA-01", "pass"), item("BBB-01", "fail")], both)
    assert (networking(declared), declared.exit_code) == (("not conformant", "1 row failed"), 1)


def test_rows_that_nothing_judged_are_named_by_mode_but_not_those_of_other_lanes() -> None:
    three = registry(
        row("AAA-01", proxy="each"), row("BBB-01", lane="nightly"), row("CCC-01", proxy="own", mode="ipvs")
    )
    outcome = conclude(RUN, [item("AAA-01", "pass", mode="nftables")], three)
    assert outcome.not_run == ("AAA-01[iptables]",)
    assert outcome.statistics.not_run == 1


@pytest.mark.parametrize(("verdict", "code"), [("pass", 10), ("fail", 1)])
def test_a_run_that_ended_early_never_exits_with_0(verdict: Verdict, code: int) -> None:
    outcome = conclude(replace(RUN, aborted="stopping after 1 failure"), [item("AAA-01", verdict)], ONE)
    assert outcome.exit_code == code
    assert "stopping after 1 failure" in networking(outcome)[1]


def test_an_interrupted_run_exits_as_a_harness_error_whatever_it_saw() -> None:
    interrupted = replace(RUN, aborted="stopped by SIGINT", is_interrupted=True)
    assert conclude(interrupted, [item("AAA-01", "fail")], ONE).exit_code == 10


def test_a_row_with_an_item_that_was_never_reached_is_partial() -> None:
    results = [item("AAA-01", "pass", mode=mode, protocol="tcp") for mode in RUN.modes]
    stopped = replace(RUN, aborted="stopping after 1 failure", unreached=("AAA-01[nftables-udp]", "BBB-01[udp]"))
    outcome = conclude(stopped, results, registry(row("AAA-01", proxy="each")))
    assert [each.label for each in outcome.rows] == ["pass", "pass (partial)"]


def test_an_item_survives_the_way_from_worker_to_controller() -> None:
    case = Case("node-a", "node-b", "open", "timeout", False, {"kind": "timeout", "rtt": None})
    there = ItemResult("AAA-01", {"mode": "nftables"}, "fail", "h", "r", "d", ((case,), ()), True, 0.5, "gw1", "x::y")
    assert ItemResult.from_value(there.to_value()) == there
    assert (case.id, there.key) == ("node-a-to-node-b", "AAA-01[nftables]")
