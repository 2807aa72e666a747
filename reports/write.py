"""The end of a run: hand the results to every report format there is.

A format is a module in formats/ with `NAME`, the file or folder that it makes, and
`write(run, items, folder) -> Path`. Adding a file there adds a format; nothing lists them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from kip_conformance.infra.errors import KipError
from kip_conformance.reports import formats
from kip_conformance.reports.files import link_last, make_folder
from kip_conformance.reports.model import ItemResult, RunInfo

__all__ = ["Format", "all_formats", "write_all"]


class Format(Protocol):
    """A report format. `write` returns what it made in `folder`, and raises KipError when it cannot."""

    NAME: str

    def write(self, run: RunInfo, items: Sequence[ItemResult], folder: Path) -> Path: ...


def all_formats() -> tuple[Format, ...]:
    """Every module of formats/, in the order of their names."""
    names = sorted(module.name for module in pkgutil.iter_modules(formats.__path__))
    return tuple(cast(Format, importlib.import_module(f"{formats.__name__}.{name}")) for name in names)


def write_all(run: RunInfo, items: Sequence[ItemResult], folder: Path) -> list[Path]:
    """Write every format into `folder`, and point `last` beside it there when the folder is named after the run.

    One format that fails keeps none of the others from being written; then raises the first KipError.
    """
    make_folder(folder)
    written: list[Path] = []
    failures: list[KipError] = []
    for each in all_formats():
        try:
            written.append(each.write(run, items, folder))
        except KipError as error:
            failures.append(error)
    # A folder of the user's own choice may have anything beside it.
    if folder.name == run.run_id:
        link_last(folder)
    if failures:
        raise failures[0]
    return written
