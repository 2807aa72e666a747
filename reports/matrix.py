"""A grid as two small tables of characters, expected and observed: what report.yaml keeps and the HTML page draws.

A cell that differs between the two tables is a case that was not as expected, and nothing else is. The characters are
those of infra/judge/drawing.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from kip_conformance.infra.judge.drawing import NOT_ASKED, sides_of
from kip_conformance.infra.probe.observation import SYMBOLS
from kip_conformance.reports.model import Case

__all__ = ["Matrix", "matrix_of", "percentile"]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Clients are rows, servers are columns; a table is one string a client, one character a server."""

    clients: tuple[str, ...]
    servers: tuple[str, ...]
    expected: tuple[str, ...]
    observed: tuple[str, ...]


def matrix_of(cases: Sequence[Case]) -> Matrix:
    """The cases as a matrix; pairs that nobody asked for are `NOT_ASKED` in both tables."""
    clients, servers = sides_of(cases)
    cells = {(case.client, case.server): _symbols(case) for case in cases}
    tables = [
        tuple("".join(cells.get((client, server), (NOT_ASKED,) * 2)[side] for server in servers) for client in clients)
        for side in (0, 1)
    ]
    return Matrix(tuple(clients), tuple(servers), tables[0], tables[1])


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of some values. Raises ValueError when there are none."""
    if not values:
        raise ValueError("no values, no percentile")
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def _symbols(case: Case) -> tuple[str, str]:
    """What to draw of a case, expected and observed."""
    expected, observed = case.symbols
    expected = expected or ("+" if case.expected.startswith("open") else "-")
    observed = observed or SYMBOLS.get(case.observation.get("kind", ""), "?")
    if case.ok:
        # However it was denied, it was denied; and where only a person knows what was expected, what came was it.
        shown = observed if expected == "?" else expected
        return shown, shown
    if observed == expected:
        observed = "s" if expected == "+" else "?"
        expected = "+" if expected == "?" else expected
    return expected, observed
