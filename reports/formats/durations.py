"""durations.json: seconds by item. The next run reckons from it how long it will take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from kip_conformance.reports.files import write_text
from kip_conformance.reports.model import ItemResult, RunInfo

__all__ = ["NAME", "write"]

NAME = "durations.json"


def write(_run: RunInfo, items: Sequence[ItemResult], folder: Path) -> Path:
    """Write the file. Raises EnvironmentFault."""
    path = folder / NAME
    write_text(path, json.dumps({item.key: round(item.duration, 3) for item in items}, indent=1) + "\n")
    return path
