"""Where the time of a run went, worked out from its report: steps of the cluster, phases of items, idle workers.

As a value for programs (profile.json) and as text for people (profile.txt). Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kip_conformance.reports.page import key_of

__all__ = ["timing_of", "timing_text"]

Value = Mapping[str, Any]

_SLOWEST = 10
_SHORT = 0.05  # seconds; steps below it are not worth a line
_PHASES = {"setup": "set-up", "call": "call", "teardown": "tear-down"}


@dataclass(frozen=True, slots=True)
class _Timed:
    key: str
    worker: str
    began: float
    duration: float
    phases: Mapping[str, float]

    @property
    def ended(self) -> float:
        return self.began + self.duration


def timing_of(report: Value) -> dict[str, Any]:
    """Plain values, all in seconds; a report of items without a beginning has no workers in it.

    Of each worker: `busy` with items, `atBarriers` while the cluster was switched or others were still in the phase
    before, `betweenItems` otherwise, `atTheEnd` after its last item while others worked on.
    """
    items = [
        _Timed(
            key_of(row, item),
            item.get("worker") or "run",
            item.get("began", -1.0),
            item["duration"],
            item.get("phases", {}),
        )
        for row in report["rows"]
        for item in row["items"]
    ]
    timed = [item for item in items if item.began >= 0]
    steps = [dict(step) for step in report["timeline"]]
    ended = max((item.ended for item in timed), default=0.0)
    return {
        "run": report["run"],
        "duration": report["duration"],
        "steps": steps,
        "judging": {
            "began": min((item.began for item in timed), default=0.0),
            "ended": round(ended, 3),
            "items": len(items),
            **{name: round(sum(item.phases.get(name, 0.0) for item in items), 3) for name in _PHASES},
        },
        "workers": {
            worker: _worker([item for item in timed if item.worker == worker], steps, ended)
            for worker in sorted({item.worker for item in timed})
        },
        "items": [
            {"item": item.key, "duration": item.duration, **{name: item.phases.get(name, 0.0) for name in _PHASES}}
            for item in sorted(items, key=lambda item: -item.duration)
        ],
    }


def timing_text(timing: Value, *, slowest: int = _SLOWEST) -> str:
    """The same for people, with the `slowest` items; ends in a newline."""
    judging, workers = timing["judging"], timing["workers"]
    ups = [step for step in timing["steps"] if step["step"].startswith("up: ")]
    others = [step for step in timing["steps"] if step not in ups]
    lines = [f"Where the time of run {timing['run']} went: {timing['duration']:.1f} s"]
    if ups:
        lines.append(_line("bring-up", sum(step["duration"] for step in ups)))
        lines += [
            _line(f"  {step['step'].removeprefix('up: ')}", step["duration"])
            for step in ups
            if step["duration"] >= _SHORT
        ]
    before = [step["began"] + step["duration"] for step in timing["steps"] if step["began"] < judging["began"]]
    waited = judging["began"] - max(before, default=0.0)
    if waited >= _SHORT:
        lines.append(_line("until the first check: workers start, suites are collected", waited))
    lines.append(_line(f"judging {judging['items']} items, the switches in between too", _between(judging)))
    lines += [_line(step["step"], step["duration"]) for step in others if step["duration"] >= _SHORT]
    lines += ["", "Phases of items, over all workers"]
    lines += [_line(words, judging[name]) for name, words in _PHASES.items()]
    if workers:
        lines += ["", f"{'Workers':12} {'items':>6} {'busy':>9} {'barriers':>9} {'between':>9} {'at end':>9}"]
        lines += [
            f"  {name:10} {one['items']:6} "
            + " ".join(f"{one[key]:7.2f} s" for key in ("busy", "atBarriers", "betweenItems", "atTheEnd"))
            for name, one in workers.items()
        ]
    lines += ["", f"{'Slowest items':40} {'set-up':>9} {'call':>9} {'tear-down':>9} {'in all':>9}"]
    lines += [
        f"  {item['item']:38} " + " ".join(f"{item[key]:7.2f} s" for key in ("setup", "call", "teardown", "duration"))
        for item in timing["items"][:slowest]
    ]
    return "\n".join(lines) + "\n"


def _worker(items: Sequence[_Timed], steps: Sequence[Value], ended: float) -> dict[str, Any]:
    items = sorted(items, key=lambda item: item.began)
    barriers, between = 0.0, 0.0
    for one, other in pairwise(items):
        gap = max(0.0, other.began - one.ended)
        # A switch that ended in the gap is what the worker was waiting for.
        if any(one.ended - 0.01 <= step["began"] + step["duration"] <= other.began + 0.01 for step in steps):
            barriers += gap
        else:
            between += gap
    return {
        "items": len(items),
        "busy": round(sum(item.duration for item in items), 3),
        "atBarriers": round(barriers, 3),
        "betweenItems": round(between, 3),
        "atTheEnd": round(max(0.0, ended - items[-1].ended), 3),
    }


def _between(judging: Value) -> float:
    return max(0.0, float(judging["ended"]) - float(judging["began"]))


def _line(words: str, seconds: float) -> str:
    return f"  {words:62} {seconds:7.2f} s"
