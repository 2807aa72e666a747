"""The content of report.yaml as a plain document: what other formats, and whoever compares two runs, read as well.

Rows are keyed by requirement and parameters, never by pytest's node ids, which differ between a checkout and an
installed wheel. Writing and checking it against report.schema.json is formats/conformance.py's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kip_conformance.reports.fold import Outcome, ProfileResult, Row, Statistics
from kip_conformance.reports.model import Case, ItemResult, RunInfo
from kip_conformance.reports.rerun import pair_of, rerun

__all__ = ["API_VERSION", "dataplane_statement", "document", "headline", "reason"]

API_VERSION = "kip-conformance/v1alpha1"

_GROUPS = {"core": "M", "recommended": "S", "extended": "X"}


def dataplane_statement(run: RunInfo) -> str:
    """One line that says on what kind of network the verdicts were reached."""
    if run.is_lab:
        return "LAB RESULT: real Kubernetes components, simulated network (a lab's dataplane)."
    return f"Result of the {run.target} target, on that cluster's own network."


def document(run: RunInfo, outcome: Outcome) -> dict[str, Any]:
    """The report as dictionaries, lists, strings and numbers; seconds are rounded to milliseconds."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ConformanceReport",
        "target": run.target,
        "dataplane": "lab" if run.is_lab else "cluster",
        "statement": dataplane_statement(run),
        "run": run.run_id,
        "date": run.started,
        "duration": round(run.duration, 3),
        "suiteVersion": run.suite_version,
        "implementation": run.implementation,
        "environment": {
            "components": dict(sorted(run.versions.items())),
            "features": sorted(run.features),
            "proxyModes": list(run.modes),
            "places": list(run.places),
            "budgets": dict(sorted(run.budgets.items())),
        },
        "seed": run.seed,
        "selection": {"complete": run.is_selection_complete, "arguments": list(run.selection)},
        **({"aborted": run.aborted} if run.aborted else {}),
        "exit": {"code": outcome.exit_code, "meaning": outcome.exit_meaning},
        "statistics": _statistics(outcome.statistics),
        "profiles": [_profile(profile) for profile in outcome.profiles],
        "notRun": list(outcome.not_run),
        **({"unreached": list(run.unreached)} if run.unreached else {}),
        "rows": [_row(run, row) for row in outcome.rows],
    }


def headline(item: ItemResult) -> str:
    """The item's headline on one line; of a failure without one, the last line of what it said."""
    text = " ".join(item.headline.split())
    if item.verdict == "fail" and not text:
        said = [line.strip() for line in item.detail.splitlines() if line.strip()]
        text = said[-1] if said else "failed, and the check did not say what it saw"
    return text


def reason(item: ItemResult) -> str:
    """Why the item was not judged; never empty for one that was not."""
    if item.verdict in ("not-runnable", "harness-error"):
        return item.reason.strip() or " ".join(item.headline.split()) or "no reason was recorded"
    return item.reason.strip()


def _profile(profile: ProfileResult) -> dict[str, Any]:
    groups = {
        name: _statistics(statistics)
        for name, level in _GROUPS.items()
        for statistics in [profile.by_level[level]]  # type: ignore[index]
        if name == "core" or statistics != Statistics()
    }
    return {"name": profile.name, "title": profile.title, "result": profile.result, "why": profile.why, **groups}


def _statistics(statistics: Statistics) -> dict[str, int]:
    return {
        "passed": statistics.passed,
        "partial": statistics.partial,
        "failed": statistics.failed,
        "harnessErrors": statistics.harness_errors,
        "notRunnable": statistics.not_runnable,
        "notRun": statistics.not_run,
    }


def _row(run: RunInfo, row: Row) -> dict[str, Any]:
    return {
        "requirement": row.requirement.id,
        **({"mode": row.mode} if row.mode else {}),
        "title": row.requirement.title,
        "level": row.requirement.level,
        "verdict": row.verdict,
        "partial": row.is_partial,
        "duration": round(row.duration, 3),
        "items": [_item(run, item) for item in row.items],
    }


def _item(run: RunInfo, item: ItemResult) -> dict[str, Any]:
    texts = {"headline": headline(item), "reason": reason(item), "detail": item.detail, "worker": item.worker}
    pair = pair_of(run, item)
    return {
        "parameters": dict(item.parameters),
        "verdict": item.verdict,
        "partial": item.partial,
        "duration": round(item.duration, 3),
        **{name: text for name, text in texts.items() if text},
        "grids": [_grid(grid) for grid in item.grids],
        "reproduce": rerun(run, item),
        **({"reproducePair": rerun(run, item, pair=pair)} if pair else {}),
    }


def _grid(cases: Sequence[Case]) -> dict[str, Any]:
    passed = [case.id for case in cases if case.ok]
    failed = [_failed_case(case) for case in cases if not case.ok]
    return {"passed": len(passed), "failed": len(failed), "passedCases": passed, "failedCases": failed}


def _failed_case(case: Case) -> dict[str, Any]:
    value = asdict(case)
    del value["ok"]
    return {"case": case.id, **value, "observation": _plain(case.observation)}


def _plain(value: Any) -> Any:
    """`value` with nothing in it that YAML's safe subset does not know; times are rounded to microseconds."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 6)
    return value if isinstance(value, (str, int, bool)) or value is None else str(value)
