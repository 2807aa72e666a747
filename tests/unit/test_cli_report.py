"""`kip-conformance report`: what is found, what is printed, and one line for what cannot be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from kip_conformance.infra import cli
from kip_conformance.reports.document import document
from kip_conformance.reports.fold import conclude
from kip_conformance.reports.formats import conformance
from kip_conformance.reports.summary import summary

from .few_rows import few_rows
from .sample_results import ITEMS, RUN


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one run in reports/out, and `last` that leads to it."""
    folder = tmp_path / "reports" / "out" / RUN.run_id
    folder.mkdir(parents=True)
    report = document(RUN, conclude(RUN, ITEMS, few_rows()))
    (folder / conformance.NAME).write_text(conformance.render(report), encoding="utf-8")
    (folder.parent / "last").symlink_to(RUN.run_id)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.mark.parametrize("name", [[], [RUN.run_id], [f"reports/out/{RUN.run_id}"], ["reports/out/last/report.yaml"]])
def test_the_text_is_the_summary_of_the_run(
    checkout: Path, capsys: pytest.CaptureFixture[str], name: list[str]
) -> None:
    assert cli.main(["report", *name]) == 0
    shown = capsys.readouterr().out
    run = replace(RUN, versions=dict(sorted(RUN.versions.items())))
    expected = summary(run, ITEMS, checkout / "reports" / "out" / RUN.run_id, width=100, registry=few_rows())
    assert [line for line in shown.splitlines() if not line.startswith("Report:")] == [
        line for line in expected.splitlines() if not line.startswith("Report:")
    ]


def test_html_is_written_beside_the_report_and_its_path_printed(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", "--format", "html", "--open-path"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.name == "report.html"
    assert "<!doctype html>" in path.read_text(encoding="utf-8")
    assert cli.main(["report", "--format", "html", "--out", "page.html"]) == 0
    assert capsys.readouterr().out == "Written: page.html\n"


def test_json_is_the_report_and_timing_says_where_the_time_went(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == RUN.run_id
    assert cli.main(["report", "--format", "timing"]) == 0
    assert "Slowest items" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nightly"], f"nightly: neither a report nor a run in reports/out and kip-out of this folder; runs: {RUN.run_id}"),  # noqa: E501
        (["page.txt"], "page.txt: not a conformance report"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_one_line_and_4(
    checkout: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    (checkout / "page.txt").write_text("hello")
    assert cli.main(["report", *words]) == 4
    assert capsys.readouterr().err == f"kip-conformance: {checkout / said if words == ['page.txt'] else said}\n"


def test_no_run_at_all_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report"]) == 4
    assert "there is no last run" in capsys.readouterr().err


def test_its_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "--help"]) == 0
    text = capsys.readouterr().out
    assert "kip-conformance report --format html" in text
    assert "--open-path" in text
