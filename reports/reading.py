"""A report.yaml read back: the run and what it came to, as they were published. Nothing is judged or folded again.

So a report of another version of this suite keeps its verdicts, also for rows that this one does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.judge.drawing import NOT_ASKED
from kip_conformance.reports.document import API_VERSION
from kip_conformance.reports.fold import Outcome, ProfileResult, ReportError, Row, Statistics
from kip_conformance.reports.model import Asked, Case, ItemResult, RunInfo, Step
from kip_conformance.reports.requirements import Level, Requirement

__all__ = ["Published", "read_report"]

_LEVELS: Mapping[Level, str] = {"M": "core", "S": "recommended", "X": "extended"}


@dataclass(frozen=True, slots=True)
class Published:
    """A report: the document itself, and the same as values."""

    document: Mapping[str, Any]
    run: RunInfo
    outcome: Outcome

    @property
    def items(self) -> tuple[ItemResult, ...]:
        return tuple(item for row in self.outcome.rows for item in row.items)


def read_report(path: Path) -> Published:
    """Read `path`, a report.yaml. Raises UsageError, one line, when it is none, or of another version's making."""
    from kip_conformance.reports.formats.conformance import check

    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not YAML ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(value, dict) or value.get("kind") != "ConformanceReport":
        raise UsageError(f"{path}: not a conformance report")
    if value.get("apiVersion") != API_VERSION:
        raise UsageError(f"{path}: a report of {value.get('apiVersion')}; this version reads {API_VERSION}")
    try:
        check(value)
    except ReportError as error:
        where = str(error).removeprefix("report.yaml was not written: ").partition("; this is a defect")[0]
        raise UsageError(f"{path}: does not keep to the schema of this version: {where}") from error
    return Published(value, _run(value), _outcome(value))


def _run(value: Mapping[str, Any]) -> RunInfo:
    environment, selection = value["environment"], value["selection"]
    start = datetime.fromisoformat(value["date"]).timestamp()
    return RunInfo(
        run_id=value["run"],
        target=value["target"],
        is_lab=value["dataplane"] == "lab",
        implementation=value["implementation"],
        suite_version=value["suiteVersion"],
        started=value["date"],
        seed=value["seed"],
        modes=tuple(environment["proxyModes"]),
        places=tuple(environment["places"]),
        features=tuple(environment["features"]),
        versions=environment["components"],
        selection=tuple(selection["arguments"]),
        is_selection_complete=selection["complete"],
        duration=value["duration"],
        budgets=environment["budgets"],
        budgets_beyond_cap=tuple(environment["budgetsBeyondCap"]),
        command=tuple(selection["command"]),
        attach=selection.get("attach", ""),
        aborted=value.get("aborted", ""),
        is_interrupted=value.get("interrupted", False),
        unreached=tuple(value.get("unreached", ())),
        address_plan=environment["addressPlan"],
        steps=tuple(Step(step["step"], start + step["began"], step["duration"]) for step in value["timeline"]),
    )


def _outcome(value: Mapping[str, Any]) -> Outcome:
    start = datetime.fromisoformat(value["date"]).timestamp()
    return Outcome(
        rows=tuple(_row(row, start) for row in value["rows"]),
        not_run=tuple(value["notRun"]),
        profiles=tuple(
            ProfileResult(
                profile["name"],
                profile["title"],
                profile["result"],
                profile["why"],
                {level: _statistics(profile.get(group, {})) for level, group in _LEVELS.items()},
            )
            for profile in value["profiles"]
        ),
        statistics=_statistics(value["statistics"]),
        exit_code=value["exit"]["code"],
    )


def _statistics(value: Mapping[str, int]) -> Statistics:
    return Statistics(
        passed=value.get("passed", 0),
        partial=value.get("partial", 0),
        failed=value.get("failed", 0),
        harness_errors=value.get("harnessErrors", 0),
        not_runnable=value.get("notRunnable", 0),
        not_run=value.get("notRun", 0),
    )


def _row(row: Mapping[str, Any], start: float) -> Row:
    mode = row.get("mode")
    requirement = Requirement(
        id=row["requirement"],
        title=row["title"],
        sentence=row["sentence"],
        level=row["level"],
        profile=row["profile"],
        section=row["section"],
        features=(),
        proxy="each" if mode else "none",
        lane="default",
        since="",
        source=(),
    )
    items = tuple(_item(row["requirement"], item, start) for item in row["items"])
    return Row(requirement, mode, row["verdict"], row["partial"], items)


def _item(requirement: str, item: Mapping[str, Any], start: float) -> ItemResult:
    return ItemResult(
        requirement=requirement,
        parameters=item["parameters"],
        verdict=item["verdict"],
        headline=item.get("headline", ""),
        reason=item.get("reason", ""),
        detail=item.get("detail", ""),
        grids=tuple(_cases(grid) for grid in item["grids"]),
        partial=item["partial"],
        duration=item["duration"],
        worker=item.get("worker", ""),
        asked=tuple(
            Asked(grid.get("title", ""), grid.get("protocol", ""), grid["attempts"], grid.get("firstError", ""))
            for grid in item["grids"]
        ),
        finding=item.get("finding"),
        began=start + item["began"] if "began" in item else 0.0,
        phases=item.get("phases", {}),
        measured=item.get("measured", {}),
    )


def _cases(grid: Mapping[str, Any]) -> tuple[Case, ...]:
    """The failed cases whole; of the passed ones all that a report keeps: who, whom, and what it looked like."""
    failed = {(case["client"], case["server"]): case for case in grid["failedCases"]}
    return tuple(
        _case(client, server, (expected, observed), failed.get((client, server)))
        for client, expectations, observations in zip(grid["clients"], grid["expected"], grid["observed"], strict=True)
        for server, expected, observed in zip(grid["servers"], expectations, observations, strict=True)
        if NOT_ASKED not in (expected, observed)
    )


def _case(client: str, server: str, symbols: Sequence[str], failed: Mapping[str, Any] | None) -> Case:
    pair = (symbols[0], symbols[1])
    if failed is not None:
        return Case(client, server, failed["expected"], failed["observed"], False, failed["observation"], pair)
    word = "open" if symbols[0] == "+" else "denied"
    return Case(client, server, word, word, True, {}, pair)
