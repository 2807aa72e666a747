"""report.html: the report as one page that needs nothing else, neither a network nor, for reading, JavaScript.

What is on the page is page.py's business, how it looks templates/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kip_conformance.reports.document import document
from kip_conformance.reports.files import write_text
from kip_conformance.reports.fold import conclude
from kip_conformance.reports.model import ItemResult, RunInfo
from kip_conformance.reports.page import page_of
from kip_conformance.reports.requirements import load_registry

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["NAME", "render", "write"]

NAME = "report.html"


def write(run: RunInfo, items: Sequence[ItemResult], folder: Path) -> Path:
    """Write the page. Raises ReportError or EnvironmentFault."""
    path = folder / NAME
    write_text(path, render(document(run, conclude(run, items, load_registry()))))
    return path


def render(report: Mapping[str, Any]) -> str:
    """The page of a report's document."""
    return _template().render(page=page_of(report), report=report, css=_file("report.css"), js=_file("report.js"))


def _file(name: str) -> str:
    return resources.files("kip_conformance.reports").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    # Imported here, because a run that writes no page needs none of it.
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["seconds"] = _seconds
    environment.filters["milliseconds"] = lambda value: f"{1000 * value:.2f} ms"
    return environment.from_string(_file("report.html.j2"))


def _seconds(value: float) -> str:
    """`0.31 s`, `12.4 s`, `2 min 05 s`."""
    if value >= 100:
        return f"{int(value) // 60} min {int(value) % 60:02} s"
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"
