"""Allure results: every item has one, and its status is the verdict, whatever pytest made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kip_conformance.reports.allure import labels
from kip_conformance.reports.formats import allure
from kip_conformance.reports.model import ItemResult, RunInfo
from kip_conformance.reports.requirements import load_requirements

RUN = RunInfo(
    run_id="k7f3",
    target="lab",
    is_lab=True,
    implementation="CNI routed",
    suite_version="0.1.0",
    started="2026-01-05T10:00:00+00:00",
    seed=42,
    modes=("nftables",),
    places=(),
    features=(),
    versions={"kube proxy": "1.36.3"},
)
UDP = {"mode": "nftables", "protocol": "udp"}
FAILED = ItemResult("SVC-01", UDP, "fail", "a -> b: timeout", detail="grid", duration=2)


def results_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Every result by the item it is of."""
    found = {}
    for path in (folder / "allure-results").glob("*-result.json"):
        value = json.loads(path.read_text(encoding="utf-8"))
        found[{label["name"]: label["value"] for label in value["labels"]}["kip-item"]] = value
    return found


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("pass", "passed"), ("fail", "failed"), ("harness-error", "broken"), ("not-runnable", "skipped")],
)
def test_the_status_is_the_verdict(tmp_path: Path, verdict: Any, status: str) -> None:
    allure.write(RUN, [replace(FAILED, verdict=verdict, reason="why")], tmp_path)
    value = results_in(tmp_path)["SVC-01[nftables-udp]"]
    assert value["status"] == status
    assert value["statusDetails"]["message"] == {"pass": "", "fail": "a -> b: timeout"}.get(verdict, "why")


def test_a_result_has_the_requirement_its_parameters_and_the_evidence(tmp_path: Path) -> None:
    allure.write(RUN, [FAILED], tmp_path)
    value = results_in(tmp_path)["SVC-01[nftables-udp]"]
    assert value["description"] == load_requirements()["SVC-01"].sentence
    assert {"name": "tag", "value": "SVC-01"} in value["labels"]
    assert value["parameters"] == [{"name": "mode", "value": "nftables"}, {"name": "protocol", "value": "udp"}]
    assert value["stop"] - value["start"] == 2000
    [attached] = value["attachments"]
    assert (tmp_path / "allure-results" / attached["source"]).read_text(encoding="utf-8") == "grid"


def test_the_same_item_keeps_its_history_over_runs(tmp_path: Path) -> None:
    allure.write(RUN, [FAILED], tmp_path / "one")
    allure.write(replace(RUN, run_id="m2"), [FAILED], tmp_path / "two")
    [one], [two] = results_in(tmp_path / "one").values(), results_in(tmp_path / "two").values()
    assert one["historyId"] == two["historyId"]
    assert one["uuid"] != two["uuid"]


def test_the_environment_says_that_it_is_a_lab(tmp_path: Path) -> None:
    lines = (allure.write(RUN, [], tmp_path) / "environment.properties").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("statement=LAB RESULT")
    assert lines[-1] == r"kube\ proxy=1.36.3"


def test_what_allure_pytest_wrote_is_put_right_and_completed(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """A real run of allure-pytest: an assertion that fails in set-up is no verdict, and one test has no result."""
    pytester.makeconftest(
        """
        import pytest
        from kip_conformance.reports.allure import label_item
        from kip_conformance.reports.model import ItemResult
        from kip_conformance.reports.requirements import load_requirements

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            if call.when == "teardown" and item.name == "test_it":
                result = ItemResult("SVC-01", {"mode": "nftables", "protocol": "udp"}, "harness-error", detail="grid")
                label_item(load_requirements()["SVC-01"], result)
            return (yield)
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken():
            assert False

        def test_it(broken):
            pass

        def test_foreign():
            pass
        """
    )
    folder = tmp_path / "run"
    pytester.runpytest_subprocess("--alluredir", str(folder / "allure-results"), "-p", "no:cacheprovider")
    there = replace(FAILED, verdict="harness-error", reason="no channel")
    lost = ItemResult("SVC-01", {"mode": "nftables", "protocol": "tcp"}, "harness-error", reason="the worker died")
    values = [json.loads(path.read_text()) for path in (folder / "allure-results").glob("*-result.json")]
    assert sorted(value["status"] for value in values) == ["failed", "passed"]

    allure.write(RUN, [there, lost], folder)

    values = [json.loads(path.read_text()) for path in (folder / "allure-results").glob("*-result.json")]
    assert sorted(value["status"] for value in values) == ["broken", "broken", "passed"]
    [right] = [value for value in values if value["name"] == "test_it"]
    assert right["statusDetails"]["message"] == "no channel"
    assert "trace" in right["statusDetails"]
    assert right["description"] == load_requirements()["SVC-01"].sentence
    assert [each["name"] for each in right["attachments"]] == ["grid: expected and observed"]


def test_label_item_does_nothing_where_no_results_are_collected() -> None:
    from kip_conformance.reports.allure import label_item

    label_item(load_requirements()["SVC-01"], FAILED)


def test_labels_name_profile_section_and_mode() -> None:
    named = labels(load_requirements()["SVC-01"], FAILED)
    assert ("epic", "networking") in named
    assert ("feature", "Services") in named
    assert ("tag", "nftables") in named
