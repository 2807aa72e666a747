"""A grid as two small tables of characters, expected and observed: what report.yaml keeps and the HTML page draws.

A cell that differs between the two tables is a case that was not as expected, and nothing else is. The characters are
those of infra/judge/drawing.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from kip_conformance.reports.model import Case

__all__ = ["MEANINGS", "NOT_ASKED", "Matrix", "matrix_of", "percentile"]

NOT_ASKED = "."
MEANINGS = {
    "+": "open",
    "-": "denied",
    "s": "open, not as expected",
    "T": "timeout",
    "R": "refused",
    "X": "reset",
    "U": "unreachable",
    "N": "no name",
    "W": "wrong peer",
    "?": "could not be judged",
    NOT_ASKED: "not asked",
}
_BY_KIND = {
    "open": "+",
    "timeout": "T",
    "refused": "R",
    "reset": "X",
    "unreachable": "U",
    "no_name": "N",
    "wrong_peer": "W",
}


@dataclass(frozen=True, slots=True)
class Matrix:
    """Clients are rows, servers are columns; a table is one string a client, one character a server."""

    clients: tuple[str, ...]
    servers: tuple[str, ...]
    expected: tuple[str, ...]
    observed: tuple[str, ...]


def matrix_of(cases: Sequence[Case]) -> Matrix:
    """The cases as a matrix; pairs that nobody asked for are `NOT_ASKED` in both tables."""
    clients, servers = _ordered(case.client for case in cases), _ordered(case.server for case in cases)
    if set(servers) <= set(clients):  # the same order on both sides puts "itself" on the diagonal
        servers = tuple(name for name in clients if name in servers)
    cells = {(case.client, case.server): _symbols(case) for case in cases}
    tables = [
        tuple("".join(cells.get((client, server), (NOT_ASKED,) * 2)[side] for server in servers) for client in clients)
        for side in (0, 1)
    ]
    return Matrix(clients, servers, tables[0], tables[1])


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of some values. Raises ValueError when there are none."""
    if not values:
        raise ValueError("no values, no percentile")
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def _symbols(case: Case) -> tuple[str, str]:
    """What to draw of a case, expected and observed."""
    expected, observed = case.symbols
    expected = expected or ("+" if case.expected.startswith("open") else "-")
    observed = observed or _BY_KIND.get(str(case.observation.get("kind", "")), "?")
    if case.ok:
        # However it was denied, it was denied; and where only a person knows what was expected, what came was it.
        shown = observed if expected == "?" else expected
        return shown, shown
    if observed == expected:
        observed = "s" if expected == "+" else "?"
        expected = "+" if expected == "?" else expected
    return expected, observed


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
