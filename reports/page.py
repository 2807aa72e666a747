"""What the HTML page shows, worked out from a report's document: sorted, counted and cut to size, with no markup.

The markup is templates/report.html.j2; the file is formats/html.py's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.judge.drawing import MEANINGS, NOT_ASKED

__all__ = ["Page", "page_of"]

Value = Mapping[str, Any]

_CASES_SHOWN = 40
_MOST_GRIDS = 150
"""Items whose grids are drawn: when a whole cluster is dead, later ones say nothing new, and report.yaml has them."""
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a grid: the character, a word for its colour, and what a pointer over it tells."""

    symbol: str
    kind: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One of the views of a grid."""

    name: str
    servers: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


@dataclass(frozen=True, slots=True)
class GridView:
    """A grid in three views, with the letters that it uses and the cases that differ."""

    title: str
    counts: str
    first_error: str
    tables: Sequence[Table]
    legend: Sequence[tuple[str, str]]
    cases: Sequence[Value]
    cases_left_out: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """An item that failed or could not be judged."""

    anchor: str
    key: str
    row: Value
    item: Value
    grids: Sequence[GridView]
    grids_left_out: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class RequirementView:
    """A requirement over all modes. `verdicts` has one entry a mode, or the only one under an empty name."""

    id: str
    row: Value
    verdicts: Mapping[str, Value]
    items: Sequence[tuple[str, str, Value]]
    duration: float
    words: str

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(row["verdict"] for row in self.verdicts.values()))


@dataclass(frozen=True, slots=True)
class Bar:
    """Something on a lane of the timeline; `left` and `width` are percent."""

    left: float
    width: float
    kind: str
    note: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on the page, in order. `report` is the document itself."""

    report: Value
    modes: Sequence[str]
    shares: Sequence[tuple[str, str, int]]
    failures: Sequence[Trouble]
    errors: Sequence[Trouble]
    not_judged: Sequence[tuple[str, Sequence[str]]]
    requirements: Sequence[RequirementView]
    lanes: Sequence[tuple[str, Sequence[Bar]]]
    ticks: Sequence[tuple[float, str]]


def page_of(report: Value) -> Page:
    """The page of a report; the document must keep to the schema."""
    statistics = report["statistics"]
    failures = list(_troubles(report, "fail"))
    modes = [mode for mode in report["environment"]["proxyModes"] if any(r.get("mode") == mode for r in report["rows"])]
    lanes, ticks = _timeline(report)
    shares = [
        ("pass", "passed", statistics["passed"] - statistics["partial"]),
        ("partial", "passed in part", statistics["partial"]),
        ("fail", "failed", statistics["failed"]),
        ("harness-error", "harness-error", statistics["harnessErrors"]),
        ("not-runnable", "not-runnable", statistics["notRunnable"]),
        ("not-run", "not run", statistics["notRun"]),
    ]
    return Page(
        report=report,
        modes=modes,
        shares=[share for share in shares if share[2]],
        failures=failures,
        errors=list(_troubles(report, "harness-error")),
        not_judged=_not_judged(report),
        requirements=_requirements(report),
        lanes=lanes,
        ticks=ticks,
    )


def key_of(row: Value, item: Value) -> str:
    """`SVC-01[nftables-udp]`, as everywhere."""
    parameters = "-".join(item["parameters"].values())
    return f"{row['requirement']}[{parameters}]" if parameters else row["requirement"]


def anchor_of(key: str) -> str:
    return "item-" + re.sub(r"[^A-Za-z0-9]+", "-", key).strip("-")


def _items(report: Value) -> Iterable[tuple[Value, Value]]:
    for row in report["rows"]:
        for item in row["items"]:
            yield row, item


def _troubles(report: Value, verdict: str) -> Iterable[Trouble]:
    number = 0
    for row, item in _items(report):
        if item["verdict"] != verdict:
            continue
        key = key_of(row, item)
        # What differs is what explains; a grid as expected says only that it was asked.
        wrong = [grid for grid in item["grids"] if grid["failed"]]
        shown = [_grid(grid) for grid in wrong] if number < _MOST_GRIDS else []
        yield Trouble(anchor_of(key), key, row, item, shown, len(wrong) - len(shown), is_open=number < 3)
        number += 1


def _grid(grid: Value) -> GridView:
    notes = {
        (case["client"], case["server"]): f"{case['client']} → {case['server']}: "
        f"expected {case['expected']}, saw {case['observed']}"
        for case in grid["failedCases"]
    }
    total = grid["passed"] + grid["failed"]
    letters = {letter for table in (grid["expected"], grid["observed"]) for row in table for letter in row}
    attempts = grid["attempts"]
    return GridView(
        title=" · ".join(filter(None, [grid.get("title", ""), grid.get("protocol", "")])),
        counts=f"{grid['failed']} of {total} pairs differ" + (f", after {attempts} attempts" if attempts > 1 else ""),
        first_error=grid.get("firstError", ""),
        tables=[
            Table("expected", grid["servers"], _cells(grid, notes, lambda one, _: Cell(one, _colour(one)))),
            Table("observed", grid["servers"], _cells(grid, notes, _observed)),
            Table("difference", grid["servers"], _cells(grid, notes, _difference)),
        ],
        legend=[(letter, words) for letter, words in MEANINGS.items() if letter in letters and letter != NOT_ASKED],
        cases=grid["failedCases"][:_CASES_SHOWN],
        cases_left_out=max(0, len(grid["failedCases"]) - _CASES_SHOWN),
    )


def _cells(grid: Value, notes: Mapping[tuple[str, str], str], draw: Any) -> list[tuple[str, Sequence[Cell]]]:
    rows: list[tuple[str, Sequence[Cell]]] = []
    for client, expected, observed in zip(grid["clients"], grid["expected"], grid["observed"], strict=True):
        cells = []
        for server, one, other in zip(grid["servers"], expected, observed, strict=True):
            cell = draw(one, other)
            note = notes.get((client, server), "") if cell.kind == "wrong" else ""
            cells.append(Cell(cell.symbol, cell.kind, note))
        rows.append((client, cells))
    return rows


def _colour(symbol: str) -> str:
    return {"+": "open", "-": "denied", NOT_ASKED: "none"}.get(symbol, "odd")


def _observed(expected: str, observed: str) -> Cell:
    return Cell(observed, _colour(observed) if expected == observed else "wrong")


def _difference(expected: str, observed: str) -> Cell:
    if observed == NOT_ASKED:
        return Cell("", "none")
    return Cell("", "same") if expected == observed else Cell(f"{expected}{observed}", "wrong")


def _not_judged(report: Value) -> list[tuple[str, Sequence[str]]]:
    """Why, and which; what shares its reason together."""
    groups: dict[str, list[str]] = {}
    for row, item in _items(report):
        if item["verdict"] == "not-runnable":
            groups.setdefault(item.get("reason", "not-runnable"), []).append(key_of(row, item))
        elif item["partial"] and item["verdict"] == "pass":
            groups.setdefault(f"on some places only: {item.get('reason', 'no reason given')}", []).append(
                key_of(row, item)
            )
    if report["notRun"]:
        why = "outside of the selection" if not report["selection"]["complete"] else "not reached by this run"
        groups.setdefault(why, []).extend(report["notRun"])
    if report.get("unreached"):
        groups.setdefault("planned, and never begun", []).extend(report["unreached"])
    return list(groups.items())


def _requirements(report: Value) -> list[RequirementView]:
    grouped: dict[str, list[Value]] = {}
    for row in report["rows"]:
        grouped.setdefault(row["requirement"], []).append(row)
    views = []
    for identifier, rows in grouped.items():
        first = rows[0]
        headlines = " ".join(item.get("headline", "") for row in rows for item in row["items"])
        views.append(
            RequirementView(
                id=identifier,
                row=first,
                verdicts={row.get("mode", ""): row for row in rows},
                items=[
                    (key, anchor_of(key) if item["verdict"] in ("fail", "harness-error") else "", item)
                    for row in rows
                    for item in row["items"]
                    for key in [key_of(row, item)]
                ],
                duration=sum(row["duration"] for row in rows),
                words=f"{identifier} {first['title']} {first['sentence']} {headlines}".lower(),
            )
        )
    return views


def _timeline(report: Value) -> tuple[list[tuple[str, list[Bar]]], list[tuple[float, str]]]:
    """One lane a worker, and one for what the run did besides; nothing when no item says when it began."""
    timed = [(row, item) for row, item in _items(report) if "began" in item]
    if not timed:
        return [], []
    steps = report["timeline"]
    end = max(
        [item["began"] + item["duration"] for _, item in timed] + [step["began"] + step["duration"] for step in steps]
    )
    end = max(end, 0.001)

    def bar(began: float, duration: float, kind: str, note: str, anchor: str = "") -> Bar:
        left, width = 100 * began / end, 100 * duration / end
        note = f"{note}: {duration:.2f} s, from {began:.1f} s on"
        return Bar(round(left, 3), round(max(width, 0.15), 3), kind, note, anchor)

    lanes: dict[str, list[Bar]] = {}
    if steps:
        lanes["cluster"] = [bar(step["began"], step["duration"], "step", step["step"]) for step in steps]
    for worker in sorted({item.get("worker", "") for _, item in timed}):
        lanes[worker or "run"] = [
            bar(
                item["began"],
                item["duration"],
                item["verdict"],
                f"{key} {item['verdict']}",
                anchor_of(key) if item["verdict"] in ("fail", "harness-error") else "",
            )
            for row, item in timed
            for key in [key_of(row, item)]
            if item.get("worker", "") == worker
        ]
    every = next((tick for tick in _TICKS if end / tick <= 8), _TICKS[-1])
    ticks = [(round(100 * at / end, 3), f"{at} s") for at in range(0, int(end) + 1, every)]
    return list(lanes.items()), ticks
