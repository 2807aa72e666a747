"""The content of report.yaml as a plain document: what other formats, and whoever compares two runs, read as well.

Rows are keyed by requirement and parameters, never by pytest's node ids, which differ between a checkout and an
installed wheel. Writing and checking it against report.schema.json is formats/conformance.py's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from kip_conformance.infra.targets.profile import LARGEST_CONFORMANT
from kip_conformance.reports.fold import Outcome, ProfileResult, Row, Statistics
from kip_conformance.reports.matrix import matrix_of, percentile
from kip_conformance.reports.model import Asked, Case, ItemResult, RunInfo
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
            "addressPlan": _plain(run.address_plan),
            "budgets": dict(sorted(run.budgets.items())),
            "budgetCaps": {
                name: LARGEST_CONFORMANT[name] for name in sorted(run.budgets) if name in LARGEST_CONFORMANT
            },
            "budgetsBeyondCap": list(run.budgets_beyond_cap),
        },
        "seed": run.seed,
        "selection": {
            "complete": run.is_selection_complete,
            "arguments": list(run.selection),
            "command": list(run.command),
            **({"attach": run.attach} if run.attach else {}),
        },
        **({"aborted": run.aborted, "interrupted": run.is_interrupted} if run.aborted else {}),
        "exit": {"code": outcome.exit_code, "meaning": outcome.exit_meaning},
        "statistics": _statistics(outcome.statistics),
        "profiles": [_profile(profile) for profile in outcome.profiles],
        **_latency(case for row in outcome.rows for item in row.items for grid in item.grids for case in grid),
        "notRun": list(outcome.not_run),
        **({"unreached": list(run.unreached)} if run.unreached else {}),
        "rows": [_row(run, row) for row in outcome.rows],
        "timeline": [
            {"step": step.name, "began": _since(run, step.began), "duration": round(step.duration, 3)}
            for step in run.steps
        ],
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
        "sentence": row.requirement.sentence,
        "level": row.requirement.level,
        "profile": row.requirement.profile,
        "section": row.requirement.section,
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
        **({"began": _since(run, item.began)} if item.began else {}),
        **({"phases": {name: round(seconds, 3) for name, seconds in item.phases.items()}} if item.phases else {}),
        **({"measured": {what: round(value, 3) for what, value in item.measured.items()}} if item.measured else {}),
        **{name: text for name, text in texts.items() if text},
        **({"finding": _plain(item.finding)} if item.finding else {}),
        **_latency(case for grid in item.grids for case in grid),
        "grids": [_grid(grid, asked) for grid, asked in zip(item.grids, _asked(item), strict=True)],
        "reproduce": rerun(run, item),
        **({"reproducePair": rerun(run, item, pair=pair)} if pair else {}),
    }


def _asked(item: ItemResult) -> Sequence[Asked]:
    return item.asked if len(item.asked) == len(item.grids) else [Asked() for _ in item.grids]


def _grid(cases: Sequence[Case], asked: Asked) -> dict[str, Any]:
    passed = [case.id for case in cases if case.ok]
    failed = [_failed_case(case) for case in cases if not case.ok]
    matrix = matrix_of(cases)
    texts = {"title": asked.title, "protocol": asked.protocol, "firstError": " ".join(asked.first_error.split())}
    return {
        **{name: text for name, text in texts.items() if text},
        "attempts": asked.attempts,
        "passed": len(passed),
        "failed": len(failed),
        "clients": list(matrix.clients),
        "servers": list(matrix.servers),
        "expected": list(matrix.expected),
        "observed": list(matrix.observed),
        "passedCases": passed,
        "failedCases": failed,
    }


def _failed_case(case: Case) -> dict[str, Any]:
    value = asdict(case)
    del value["ok"], value["symbols"]
    return {"case": case.id, **value, "observation": _plain(case.observation)}


def _latency(cases: Iterable[Case]) -> dict[str, Any]:
    """Percentiles of the round trips of open cases, in seconds; nothing when there are none."""
    times = [rtt for case in cases if case.observation.get("kind") == "open" and (rtt := case.observation.get("rtt"))]
    if not times:
        return {}
    return {
        "latency": {
            "cases": len(times),
            "p50": round(percentile(times, 50), 6),
            "p95": round(percentile(times, 95), 6),
        }
    }


def _since(run: RunInfo, moment: float) -> float:
    """Seconds from the run's start to `moment`, which is seconds since the epoch; never below 0."""
    return round(max(0.0, moment - datetime.fromisoformat(run.started).timestamp()), 3)


def _plain(value: Any) -> Any:
    """`value` with nothing in it that YAML's safe subset does not know; times are rounded to microseconds."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 6)
    return value if isinstance(value, (str, int, bool)) or value is None else str(value)
