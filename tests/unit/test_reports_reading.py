"""A published report read back: the same run, rows and verdicts, whatever this version would make of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from kip_conformance.infra.errors import UsageError
from kip_conformance.reports.document import document
from kip_conformance.reports.fold import conclude
from kip_conformance.reports.formats import conformance
from kip_conformance.reports.matrix import matrix_of
from kip_conformance.reports.model import Case
from kip_conformance.reports.reading import read_report
from kip_conformance.reports.write import write_all

from .few_rows import few_rows
from .sample_results import ITEMS, RUN


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "report.yaml"
    report = document(RUN, conclude(RUN, ITEMS, few_rows()))
    conformance.check(report)
    path.write_text(conformance.render(report), encoding="utf-8")
    return path


def test_what_is_read_back_would_be_published_the_same(published: Path) -> None:
    report = read_report(published)
    again = document(report.run, report.outcome)
    written = dict(report.document)
    # Passed cases are kept by name alone, and with them goes their latency.
    for value in (again, written):
        value.pop("latency", None)
        for row in value["rows"]:
            for item in row["items"]:
                item.pop("latency", None)
    assert again == written


def test_verdicts_are_kept_also_of_rows_that_this_version_does_not_know(published: Path) -> None:
    text = published.read_text(encoding="utf-8").replace("P2P-03", "ZZZ-99")
    published.write_text(text, encoding="utf-8")
    outcome = read_report(published).outcome
    assert next(row.verdict for row in outcome.rows if row.requirement.id == "ZZZ-99") == "fail"


def test_a_grid_comes_back_with_all_of_its_cases(published: Path) -> None:
    report = read_report(published)
    mine = next(item for item in ITEMS if item.key == "IDN-04[tcp]")
    read = next(item for item in report.items if item.key == "IDN-04[tcp]")
    assert [[(case.id, case.ok) for case in grid] for grid in read.grids] == [
        [(case.id, case.ok) for case in sorted(grid, key=lambda case: [*RUN.places].index(case.client))]
        for grid in mine.grids
    ]
    assert read.asked == mine.asked


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not YAML"),
        ("just words", "not a conformance report"),
        ("kind: ConformanceReport\napiVersion: kip-conformance/v9", "a report of kip-conformance/v9; this version"),
        ("kind: ConformanceReport\napiVersion: kip-conformance/v1alpha1", "does not keep to the schema"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "report.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said) as caught:
        read_report(path)
    assert "\n" not in str(caught.value)


def test_a_report_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml: cannot be read \(No such file or directory\)"):
        read_report(tmp_path / "none.yaml")


def test_latency_is_of_open_cases_alone_in_seconds() -> None:
    times = [0.001 * number for number in range(1, 21)]
    grid = (
        *(Case(f"c{rtt}", "s", "open", "open", True, {"kind": "open", "rtt": rtt}) for rtt in times),
        Case("x", "s", "open", "timeout", False, {"kind": "timeout", "rtt": None}),
    )
    item = replace(next(item for item in ITEMS if item.requirement == "P2P-01"), grids=(grid,), asked=())
    report = document(RUN, conclude(RUN, [item], few_rows()))
    assert report["rows"][0]["items"][0]["latency"] == {"cases": 20, "p50": 0.01, "p95": 0.019}
    assert report["latency"] == report["rows"][0]["items"][0]["latency"]


def test_tables_differ_in_failed_cases_and_nowhere_else() -> None:
    for item in ITEMS:
        for grid in item.grids:
            matrix = matrix_of(grid)
            differing = {
                (client, server)
                for client, wanted, seen in zip(matrix.clients, matrix.expected, matrix.observed, strict=True)
                for server, one, other in zip(matrix.servers, wanted, seen, strict=True)
                if one != other
            }
            assert differing == {(case.client, case.server) for case in grid if not case.ok}


def test_the_timeline_counts_from_the_start_of_the_run(published: Path) -> None:
    value = yaml.safe_load(published.read_text(encoding="utf-8"))
    assert value["timeline"][4] == {"step": "switch to nftables", "began": 19.5, "duration": 2.1}
    assert min(item["began"] for row in value["rows"] for item in row["items"]) == 9.6


def test_what_a_row_measured_is_in_the_report_on_the_page_and_read_back(tmp_path: Path) -> None:
    what = "until an unready endpoint got no traffic"
    item = replace(next(item for item in ITEMS if item.requirement == "P2P-01"), measured={what: 0.34567})
    outcome = conclude(RUN, [item], few_rows())
    assert document(RUN, outcome)["rows"][0]["items"][0]["measured"] == {what: 0.346}
    write_all(RUN, [item], tmp_path)
    assert f"0.35 s {what}" in (tmp_path / "report.html").read_text()
    assert [each.measured for each in read_report(tmp_path / "report.yaml").items] == [{what: 0.346}]
