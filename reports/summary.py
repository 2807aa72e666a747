"""The summary printed at the end of a run: a table, every failure with its grid and rerun command, and the counts.

Plain text for any width from 80 columns on; colour only where the caller says so. Nothing is computed here: fold.py.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from kip_conformance.reports.document import dataplane_statement, headline, reason
from kip_conformance.reports.fold import Outcome, Row, Statistics, conclude
from kip_conformance.reports.model import ItemResult, RunInfo
from kip_conformance.reports.requirements import Registry, load_registry
from kip_conformance.reports.rerun import pair_of, rerun

__all__ = ["colour_wanted", "summary", "summary_of"]

_FULL = 10
_DETAIL_LINES = 60
_KEYS = 16
_TITLE = 26
_CELL = 14

_COLOURS = {"pass": "32", "pass (partial)": "32", "fail": "1;31", "harness-error": "1;35", "not-runnable": "33"}
_RESULT_COLOURS = {"conformant": "1;32", "not conformant": "1;31", "partial": "1;33"}


def colour_wanted(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to colour what goes to `stream`: a terminal, and no NO_COLOR (no-color.org) in the environment."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def summary(
    run: RunInfo,
    items: Sequence[ItemResult],
    folder: Path | None = None,
    *,
    width: int = 80,
    colour: bool = False,
    registry: Registry | None = None,
) -> str:
    """The whole summary, ending in a newline. `folder` is where the reports are, None when none were written.

    Grids and commands are never broken: a line of theirs may be longer than `width`.
    """
    outcome = conclude(run, items, registry or load_registry())
    return summary_of(run, outcome, folder, width=width, colour=colour)


def summary_of(
    run: RunInfo, outcome: Outcome, folder: Path | None = None, *, width: int = 80, colour: bool = False
) -> str:
    """The same of a run that was concluded already."""
    paint = _Paint(colour)
    blocks = [
        list(_head(run, outcome, paint, width)),
        list(_table(run, outcome, paint, width)),
        list(_failures(run, outcome, paint, width)),
        list(_harness_errors(run, outcome, paint, width)),
        list(_not_judged(run, outcome, paint, width)),
        list(_counts(run, outcome, folder, paint, width)),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


class _Paint:
    """Colours text, or leaves it as it is."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour and code else text


def _head(run: RunInfo, outcome: Outcome, paint: _Paint, width: int) -> Iterator[str]:
    yield from _wrap(dataplane_statement(run), width)
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    about = f"kip-conformance {run.suite_version}, run {run.run_id}, {run.implementation}, seed {run.seed}"
    yield from _wrap(f"{about}; {versions}" if versions else about, width)
    for profile in outcome.profiles:
        result = paint(profile.result, _RESULT_COLOURS[profile.result])
        yield f"Profile {profile.name}: {result}"
        yield from _wrap(profile.why, width, indent="    ") if profile.why else ()


def _table(run: RunInfo, outcome: Outcome, paint: _Paint, width: int) -> Iterator[str]:
    """One line for each requirement: first those that are judged once, then those judged in each proxy mode."""
    once = [row for row in outcome.rows if row.mode is None]
    by_mode: dict[str, dict[str, Row]] = {}
    for row in outcome.rows:
        if row.mode is not None:
            by_mode.setdefault(row.requirement.id, {})[row.mode] = row
    modes = list(dict.fromkeys([*run.modes, *(row.mode for row in outcome.rows if row.mode is not None)]))
    columns = max(len(modes), 1)
    longest = max((len(row.requirement.title) for row in outcome.rows), default=0)
    title = max(_TITLE, min(longest + 2, width - 10 - columns * (_CELL + 1)))
    if once:
        yield paint(f"{'':{title + 10}} verdict", "1")
        for row in once:
            yield _line(row, title, [row], paint)
    if once and by_mode:
        yield ""
    if by_mode:
        yield paint(f"{'':{title + 10}}" + "".join(f" {mode:{_CELL}}" for mode in modes).rstrip(), "1")
        for rows in by_mode.values():
            yield _line(next(iter(rows.values())), title, [rows.get(mode) for mode in modes], paint)


def _line(any_row: Row, title: int, rows: Sequence[Row | None], paint: _Paint) -> str:
    requirement = any_row.requirement
    text = requirement.title if len(requirement.title) < title else f"{requirement.title[: title - 2]}…"
    cells = [row.label if row else "-" for row in rows]
    # Blanks are put outside of the colour, so that both forms line up.
    painted = [paint(_shout(cell), _COLOURS.get(cell, "")) + " " * (_CELL - len(cell)) for cell in cells]
    return f"{requirement.id:7}{requirement.level:3}{text:{title}} {' '.join(painted)}".rstrip()


def _shout(label: str) -> str:
    """A fail is found at a glance without colour too."""
    return "FAIL" if label == "fail" else label


def _failures(run: RunInfo, outcome: Outcome, paint: _Paint, width: int) -> Iterator[str]:
    items = [(row, item) for row in outcome.rows for item in row.items if item.verdict == "fail"]
    if not items:
        return
    yield paint(f"FAILED: {_count(len(items), 'check')} in {_count(outcome.statistics.failed, 'row')}", "1;31")
    for number, (row, item) in enumerate(items):
        level = "" if row.requirement.level != "S" else " (a SHOULD: does not fail the profile)"
        yield ""
        yield paint(f"{item.key}  {row.requirement.title}{level}", "1")
        yield from _wrap(headline(item), width, indent="  ")
        if number < _FULL:
            yield from _detail(item)
        yield f"  rerun: {rerun(run, item)}"
        pair = pair_of(run, item)
        if pair and number < _FULL:
            yield f"  one pair: {rerun(run, item, pair=pair)}"
    if len(items) > _FULL:
        yield ""
        yield f"The grids of the other {len(items) - _FULL} are in the report."
    if len(items) > 1:
        yield ""
        yield f"rerun all {len(items)}: {rerun(run, *(item for _, item in items))}"


def _detail(item: ItemResult) -> Iterator[str]:
    lines = item.detail.rstrip().splitlines()
    for line in lines[:_DETAIL_LINES]:
        yield f"  | {line}".rstrip()
    if len(lines) > _DETAIL_LINES:
        yield f"  | … {len(lines) - _DETAIL_LINES} more lines in the report"


def _harness_errors(run: RunInfo, outcome: Outcome, paint: _Paint, width: int) -> Iterator[str]:
    items = [item for row in outcome.rows for item in row.items if item.verdict == "harness-error"]
    if not items:
        return
    yield paint(f"HARNESS ERRORS: {_count(len(items), 'check')} could not be judged.", "1;35")
    yield "These say nothing about the cluster: the harness could not observe it."
    for why, members in _by_reason(items):
        yield ""
        yield from _wrap(", ".join(item.key for item in members), width)
        yield from _wrap(why, width, indent="  ")
        yield f"  rerun: {rerun(run, *members)}"


def _not_judged(run: RunInfo, outcome: Outcome, paint: _Paint, width: int) -> Iterator[str]:
    items = [item for row in outcome.rows for item in row.items if item.verdict == "not-runnable"]
    partly = [item for row in outcome.rows for item in row.items if item.partial and item.verdict == "pass"]
    if not items and not partly and not outcome.not_run and not run.unreached:
        return
    yield paint("NOT JUDGED", "1;33")
    for why, members in _by_reason(items):
        yield from _wrap(f"{', '.join(item.key for item in members)}: {why}", width, indent="  ")
    for why, members in _by_reason(partly):
        keys = ", ".join(item.key for item in members)
        yield from _wrap(f"{keys}, on some places only{f': {why}' if why else ''}", width, indent="  ")
    if outcome.not_run and not run.is_selection_complete:
        yield f"  {_count(len(outcome.not_run), 'row')} outside of the selection"
    elif outcome.not_run and not run.unreached:
        yield from _wrap(f"{_some(outcome.not_run)}: not reached by this run", width, indent="  ")
    if run.unreached:
        yield from _wrap(f"{_some(run.unreached)}: planned, and never begun", width, indent="  ")


def _counts(run: RunInfo, outcome: Outcome, folder: Path | None, paint: _Paint, width: int) -> Iterator[str]:
    cases = [case for row in outcome.rows for item in row.items for grid in item.grids for case in grid]
    wrong = sum(not case.ok for case in cases)
    pairs = f"; {_count(len(cases), 'pair')} compared, {wrong} not as expected" if cases else ""
    yield from _wrap(f"{_statistics(outcome.statistics)} in {run.duration:.1f} s{pairs}", width)
    if run.aborted:
        yield from _wrap(f"The run ended early: {run.aborted}.", width)
    if folder is not None:
        here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        yield f"Report: {here / 'report.yaml'}"
    code = outcome.exit_code
    yield from _wrap(f"Exit code {code}: {outcome.exit_meaning}.", width)


def _statistics(statistics: Statistics) -> str:
    """`11 rows: 8 passed (1 partially), 2 failed, 1 harness-error`."""
    partial = f" ({statistics.partial} partially)" if statistics.partial else ""
    parts = [f"{statistics.passed} passed{partial}", f"{statistics.failed} failed"]
    parts += [f"{_count(statistics.harness_errors, 'harness-error')}"] if statistics.harness_errors else []
    parts += [f"{statistics.not_runnable} not-runnable"] if statistics.not_runnable else []
    total = statistics.passed + statistics.failed + statistics.harness_errors + statistics.not_runnable
    rest = f" ({statistics.not_run} more not run)" if statistics.not_run else ""
    return f"{_count(total, 'row')}: {', '.join(parts)}{rest}"


def _by_reason(items: Iterable[ItemResult]) -> list[tuple[str, list[ItemResult]]]:
    """Items that share a reason, together: one dead component would fill the screen otherwise."""
    grouped: dict[str, list[ItemResult]] = {}
    for item in items:
        grouped.setdefault(reason(item), []).append(item)
    return list(grouped.items())


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _KEYS} more" if len(keys) > _KEYS else ""
    return ", ".join(keys[:_KEYS]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _wrap(text: str, width: int, *, indent: str = "") -> list[str]:
    """`text` broken at blanks only; a hanging indent marks the lines that go on."""
    if not text:
        return []
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
