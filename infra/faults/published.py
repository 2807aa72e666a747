"""`python -m kip_conformance.infra.faults.published FOLDER > docs/kill-matrix.md`: the page of a run of all faults."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kip_conformance.reports.requirements import load_requirements

__all__ = ["PUBLISHED", "document", "published_rows"]

PUBLISHED = "0.1.0"
"""The version of the suite up to which docs/kill-matrix.md has every row."""

_MARKS = {"fail": "RED", "harness-error": "err", "pass": ".", "not-runnable": "n/r", "": " "}
_ACROSS = 12
_LISTS = (
    ("Checks without a kill", "checksWithoutAKill"),
    ("Faults that survive", "faultsThatSurvive"),
    ("Red without cause", "redWithoutCause"),
)
_HEAD = """# Kill matrix

Every fault against every check; `RED` is a fail, `err` a harness-error, `.` a pass. A real run, made into this page by
`python -m kip_conformance.infra.faults.published`. What it means: [faults.md](faults.md).
"""


def published_rows() -> frozenset[str]:
    """The ids of all rows that are old enough for the published matrix."""
    rows = load_requirements().values()
    return frozenset(row.id for row in rows if _number(row.since) <= _number(PUBLISHED))


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def document(value: Mapping[str, Any]) -> str:
    """A Markdown page of the value in kill-matrix.json: the lists, what kills each check, and the whole matrix."""
    known = load_requirements()
    versions = [known[each].since for each in value["requirements"] if each in known]
    newest = max(versions, key=_number, default="0")
    parts = [_HEAD, f"\nRows up to version {newest}.\n"]
    for title, key in _LISTS:
        entries = value[key]
        parts.append(
            f"\n{title}: {'none' if not entries else ''}".rstrip() + "\n" + "".join(f"- {each}\n" for each in entries)
        )
    parts.append("\n## What kills each check\n\n| requirement | turned red by |\n|---|---|\n")
    parts += [f"| {each} | {', '.join(_killers(value, each)) or 'nothing'} |\n" for each in value["requirements"]]
    parts.append("\n## The whole matrix\n\n")
    requirements = value["requirements"]
    for start in range(0, len(requirements), _ACROSS):
        parts.append(_table(value, requirements[start : start + _ACROSS]))
    return "".join(parts)


def _killers(value: Mapping[str, Any], requirement: str) -> list[str]:
    return [_name(trial) for trial in value["trials"] if trial["verdicts"].get(requirement) == "fail"]


def _table(value: Mapping[str, Any], requirements: list[str]) -> str:
    width = max((len(_name(trial)) for trial in value["trials"]), default=5)
    lines = [f"{'':<{width}}  {' '.join(requirements)}"]
    for trial in value["trials"]:
        cells = (_MARKS[trial["verdicts"].get(each, "")].center(len(each)) for each in requirements)
        lines.append(f"{_name(trial):<{width}}  {' '.join(cells)}".rstrip())
    return "```text\n" + "\n".join(lines) + "\n```\n\n"


def _name(trial: Mapping[str, Any]) -> str:
    return f"{trial['fault']} [{trial['mode']}]"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "reports/out/faults")
    sys.stdout.write(document(json.loads((folder / "kill-matrix.json").read_text())))
