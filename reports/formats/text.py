"""summary.txt: what the run printed at its end, kept beside the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kip_conformance.reports.files import write_text
from kip_conformance.reports.model import ItemResult, RunInfo
from kip_conformance.reports.summary import summary

__all__ = ["NAME", "write"]

NAME = "summary.txt"


def write(run: RunInfo, items: Sequence[ItemResult], folder: Path) -> Path:
    """Write the summary, 100 columns wide and without colour. Raises EnvironmentFault."""
    path = folder / NAME
    write_text(path, summary(run, items, folder, width=100))
    return path
