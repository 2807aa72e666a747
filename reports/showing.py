"""A published report shown again: where to find it, and what it looks like as text, page, timing or JSON."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from kip_conformance.infra.errors import UsageError
from kip_conformance.reports.files import write_text
from kip_conformance.reports.reading import read_report

__all__ = ["find_report", "render", "write"]

_NAME = "report.yaml"
_ROOMS = ("reports/out", "kip-out")
"""Where runs put their results: in a checkout, and elsewhere."""


def find_report(name: str, here: Path) -> Path:
    """The report.yaml that `name` means: a file, a folder with one, or a run below the usual folders of `here`.

    Raises UsageError, one line that says where it looked and what there is.
    """
    given = here / name
    tried = [given, given / _NAME, *(here / room / name / _NAME for room in _ROOMS)]
    for path in tried:
        if path.is_file():
            return path
    runs = sorted(path.parent.name for room in _ROOMS for path in here.glob(f"{room}/*/{_NAME}"))
    known = ", ".join(run for run in runs if run != "last")
    rooms = " and ".join(_ROOMS)
    if name == "last":
        raise UsageError(f"there is no last run in {rooms} of this folder; name a run, a folder or a report.yaml")
    raise UsageError(f"{name}: neither a report nor a run in {rooms} of this folder; runs: {known or 'none'}")


def render(path: Path, form: str, *, is_for_people: bool = False) -> str:
    """The report as `form`: text, html, timing or json. For people it is as wide as their terminal, and in colour.

    Raises UsageError when it cannot be read.
    """
    report = read_report(path)
    if form == "html":
        from kip_conformance.reports.formats import html

        return html.render(report.document)
    if form == "timing":
        from kip_conformance.reports.timing import timing_of, timing_text

        return timing_text(timing_of(report.document))
    if form == "json":
        return json.dumps(report.document, indent=1, ensure_ascii=False) + "\n"
    from kip_conformance.reports.summary import colour_wanted, summary_of

    width = min(shutil.get_terminal_size((100, 24)).columns, 120) if is_for_people else 100
    colour = is_for_people and colour_wanted(sys.stdout)
    return summary_of(report.run, report.outcome, path.parent, width=width, colour=colour)


def write(path: Path, form: str, out: Path | None = None) -> Path:
    """Write the report as `form` to `out`, without one beside the report; returns where.

    Raises UsageError or EnvironmentFault.
    """
    text = render(path, form)
    target = out or path.with_name("report.html" if form == "html" else f"report.{form}")
    write_text(target, text)
    return target
