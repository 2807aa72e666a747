"""Results: the values of a run (model), how they fold (fold), and the forms in which they are given (formats/)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kip_conformance.reports.model import Case, ItemResult, RunInfo
    from kip_conformance.reports.write import write_all

__all__ = ["Case", "ItemResult", "RunInfo", "write_all"]


def __getattr__(name: str) -> Any:
    """Import on first use: the pytest plugin loads this package in runs that are none of ours."""
    if name == "write_all":
        from kip_conformance.reports.write import write_all

        return write_all
    if name in __all__:
        from kip_conformance.reports import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
