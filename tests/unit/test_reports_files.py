"""What a run leaves on disk: report.yaml that keeps to its schema, whole files or none, `last`, every format."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.reports import write as writing
from kip_conformance.reports import write_all
from kip_conformance.reports.document import document
from kip_conformance.reports.files import link_last, write_text
from kip_conformance.reports.fold import ReportError, conclude
from kip_conformance.reports.formats import conformance
from kip_conformance.reports.model import Case, ItemResult, RunInfo

from .few_rows import few_rows

RUN = RunInfo(
    run_id="k7f3",
    target="lab",
    is_lab=True,
    implementation="CNI routed",
    suite_version="0.1.0",
    started="2026-01-05T10:00:00+00:00",
    seed=42,
    modes=("iptables", "nftables"),
    places=("node-a", "node-b"),
    features=("node-port", "exec"),
    versions={"kubernetes": "1.36.3", "etcd": "3.6.8"},
    command=("pytest", "suites"),
    budgets={"propagation": 10},
    duration=31.41592,
)
GRID = (
    Case("node-a", "node-b", "open", "timeout", False, {"kind": "timeout", "seen_source": None, "rtt": None}),
    Case("node-b", "node-a", "open", "open", True, {"kind": "open", "rtt": 0.00012345678}),
)
RESULTS = [
    ItemResult("IDN-01", {}, "pass", grids=(GRID[1:],), duration=0.25, worker="gw0"),
    ItemResult("P2P-02", {}, "fail", "node-a -> node-b: timeout", detail="a\n  b   \nc", grids=(GRID,)),
    ItemResult("SVC-01", {"mode": "nftables", "protocol": "udp"}, "harness-error", reason="channel lost"),
    ItemResult("N2P-07", {}, "not-runnable", reason="exec is not declared"),
    ItemResult("IDN-04", {"protocol": "tcp"}, "pass", partial=True),
]


def report_of(run: RunInfo = RUN, items: Sequence[ItemResult] = RESULTS) -> dict[str, Any]:
    return document(run, conclude(run, items, few_rows()))


def row_of(report: dict[str, Any], identifier: str) -> dict[str, Any]:
    return next(row for row in report["rows"] if row["requirement"] == identifier)


def test_report_yaml_is_what_the_document_says_and_its_first_line_that_it_is_of_a_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformance, "load_registry", few_rows)
    text = conformance.write(RUN, RESULTS, tmp_path).read_text(encoding="utf-8")
    assert text.splitlines()[0].startswith("# LAB RESULT: ")
    assert text.splitlines()[3:5] == ["target: lab", "dataplane: lab"]
    loaded = yaml.safe_load(text)
    report = report_of()
    # Blanks at the ends of lines are all that YAML's block style cannot hold.
    row_of(report, "P2P-02")["items"][0]["detail"] = "a\n  b\nc"
    assert loaded == report
    assert list(loaded) == list(report)


def test_a_row_is_keyed_by_requirement_and_parameters_and_keeps_its_failed_cases_whole() -> None:
    row = row_of(report_of(), "P2P-02")
    assert row["verdict"] == "fail"
    [item] = row["items"]
    assert item["headline"] == "node-a -> node-b: timeout"
    assert item["reproduce"] == "pytest suites --requirement P2P-02 --kip-seed 42"
    assert item["reproducePair"] == "pytest suites --requirement P2P-02 --pair node-a-to-node-b --kip-seed 42"
    assert item["grids"] == [
        {
            "attempts": 1,
            "passed": 1,
            "failed": 1,
            "clients": ["node-a", "node-b"],
            "servers": ["node-a", "node-b"],
            "expected": [".+", "+."],
            "observed": [".T", "+."],
            "passedCases": ["node-b-to-node-a"],
            "failedCases": [
                {
                    "case": "node-a-to-node-b",
                    "client": "node-a",
                    "server": "node-b",
                    "expected": "open",
                    "observed": "timeout",
                    "observation": {"kind": "timeout", "seen_source": None, "rtt": None},
                }
            ],
        }
    ]
    proxied = row_of(report_of(), "SVC-01")
    assert (proxied["mode"], proxied["items"][0]["parameters"]) == ("nftables", {"mode": "nftables", "protocol": "udp"})


def test_no_node_id_reaches_the_report() -> None:
    named = [replace(item, nodeid="suites/x/test_a.py::test_b") for item in RESULTS]
    assert report_of(items=named) == report_of()
    assert "test_a.py" not in conformance.render(report_of(items=named))


def test_environment_and_statistics() -> None:
    report = report_of()
    assert report["environment"]["components"] == {"etcd": "3.6.8", "kubernetes": "1.36.3"}
    assert report["environment"]["features"] == ["exec", "node-port"]
    assert report["environment"]["budgets"] == {"propagation": 10}
    assert report["environment"]["budgetCaps"] == {"propagation": 30.0}
    assert report["environment"]["budgetsBeyondCap"] == []
    assert report["duration"] == 31.416
    assert report["statistics"] == {
        "passed": 2,
        "partial": 1,
        "failed": 1,
        "harnessErrors": 1,
        "notRunnable": 1,
        "notRun": 7,
    }
    assert report["profiles"][0]["core"] == report["statistics"]
    assert report["exit"]["code"] == 1


def test_a_cluster_that_is_no_lab_says_so() -> None:
    report = report_of(replace(RUN, target="existing", is_lab=False))
    assert (report["dataplane"], report["target"]) == ("cluster", "existing")
    assert "LAB" not in report["statement"]
    conformance.check(report)


def test_a_run_that_ended_early_says_what_it_did_not_begin() -> None:
    report = report_of(replace(RUN, aborted="stopped by SIGINT", unreached=("SVC-01[nftables-tcp]",)))
    conformance.check(report)
    assert (report["aborted"], report["unreached"]) == ("stopped by SIGINT", ["SVC-01[nftables-tcp]"])
    assert row_of(report, "SVC-01")["partial"]


def test_a_failure_or_an_error_that_says_nothing_still_makes_a_report(tmp_path: Path) -> None:
    silent = [
        ItemResult("IDN-01", {}, "fail", headline=" \n"),
        ItemResult("IDN-02", {}, "fail", detail="x\nassert 1 == 2\n"),
        ItemResult("IDN-04", {}, "harness-error"),
        ItemResult("P2P-01", {}, "fail", headline="two\nlines"),
    ]
    report = yaml.safe_load(conformance.write(RUN, silent, tmp_path).read_text(encoding="utf-8"))
    said = [row["items"][0].get("headline") or row["items"][0]["reason"] for row in report["rows"]]
    assert said == [
        "failed, and the check did not say what it saw",
        "assert 1 == 2",
        "no reason was recorded",
        "two lines",
    ]


def test_observations_of_any_kind_of_value_reach_the_report(tmp_path: Path) -> None:
    odd = Case("a", "b", "x", "y", False, {"detail": "é\t\x07", "extra": {"path": Path("/x"), "set": (1, 2)}})
    path = conformance.write(RUN, [ItemResult("IDN-01", {}, "fail", "h", detail="\n\tx \n", grids=((odd,),))], tmp_path)
    [failed] = yaml.safe_load(path.read_text(encoding="utf-8"))["rows"][0]["items"][0]["grids"][0]["failedCases"]
    assert failed["observation"] == {"detail": "é\t\x07", "extra": {"path": "/x", "set": [1, 2]}}


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(conformance.schema())


def broken(path: str, value: Any) -> dict[str, Any]:
    report = json.loads(json.dumps(report_of()))
    *parents, last = path.split(".")
    inner: Any = report
    for name in parents:
        inner = inner[int(name) if name.isdigit() else name]
    inner[last] = value
    return dict(report)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("date", "yesterday", r"\$\.date: 'yesterday' does not match"),
        ("rows.0.verdict", "passed", r"\$\.rows\[0\]\.verdict: 'passed' is not one of"),
        ("rows.0.nodeid", "x", r"\$\.rows\[0\]: Additional properties are not allowed"),
        ("statistics.failed", -1, r"\$\.statistics\.failed: -1 is less than"),
        ("exit.code", 2, r"\$\.exit\.code: 2 is not one of"),
        ("dataplane", "real", r"\$\.dataplane: 'real' is not one of"),
        ("seed", "42", r"\$\.seed: '42' is not of type"),
        ("rows.0.items", [], r"\$\.rows\[0\]\.items: \[\] should be non-empty"),
    ],
)
def test_a_report_that_breaks_the_schema_is_refused_with_its_place(path: str, value: Any, where: str) -> None:
    with pytest.raises(ReportError, match=where) as caught:
        conformance.check(broken(path, value))
    assert "\n" not in str(caught.value)


def test_a_report_that_breaks_the_schema_leaves_the_old_file_and_the_other_formats(tmp_path: Path) -> None:
    folder = tmp_path / "k7f3"
    write_all(RUN, RESULTS, folder)
    before = (folder / "report.yaml").read_bytes()
    with pytest.raises(ReportError, match=r"\$\.seed: .* please report it"):
        write_all(replace(RUN, seed="x"), RESULTS[:1], folder)  # type: ignore[arg-type]
    assert (folder / "report.yaml").read_bytes() == before
    assert "1 row:" in (folder / "summary.txt").read_text(encoding="utf-8")


def test_every_format_is_written_and_last_points_at_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "k7f3"
    written = write_all(RUN, RESULTS, folder)
    assert sorted(path.name for path in written) == [
        "allure-results",
        "durations.json",
        "report.html",
        "report.yaml",
        "summary.txt",
    ]
    assert all(path.exists() for path in written)
    assert (tmp_path / "out" / "last").readlink() == Path("k7f3")
    write_all(replace(RUN, run_id="m2"), RESULTS, tmp_path / "out" / "m2")
    assert (tmp_path / "out" / "last" / "report.yaml").read_text(encoding="utf-8").count("run: m2") == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"k7f3", "m2", "last"}


def test_nothing_is_put_beside_a_folder_of_the_users_choice(tmp_path: Path) -> None:
    write_all(RUN, RESULTS, tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_something_else_called_last_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "last").mkdir()
    link_last(tmp_path / "k7f3")
    assert not (tmp_path / "last").is_symlink()


def test_a_format_is_a_module_with_name_and_write() -> None:
    assert [each.NAME for each in writing.all_formats()] == [
        "allure-results",
        "report.yaml",
        "durations.json",
        "report.html",
        "summary.txt",
    ]


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.yaml"
    path.write_text("old", encoding="utf-8")

    class FullDisk:
        def __enter__(self) -> FullDisk:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, _: str) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    def no_space(descriptor: int, *_: Any, **__: Any) -> FullDisk:
        os.close(descriptor)
        return FullDisk()

    monkeypatch.setattr("kip_conformance.reports.files.os", SimpleNamespace(fdopen=no_space))
    with pytest.raises(EnvironmentFault) as caught:
        write_text(path, "new")
    message = str(caught.value)
    assert message == f"cannot write {path}: the disk is full; free some space or choose another folder with --kip-out"
    assert path.read_text(encoding="utf-8") == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["report.yaml"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(EnvironmentFault, match=r"cannot write .*: Not a directory; choose a folder"):
        write_all(RUN, RESULTS, tmp_path / "file" / "k7f3")
