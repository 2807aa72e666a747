"""A comparison as compact text: the expected and the observed grid side by side, a legend, and the pairs that differ.

Plain text without colour; who prints it may colour the cells that carry the mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

__all__ = ["MEANINGS", "NOT_ASKED", "draw_cases", "sides_of"]

MARK = "!"
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
_WIDTH, _CASES_SHOWN = 80, 24


class Pair(Protocol):
    """A client and a server by name."""

    @property
    def client(self) -> str: ...
    @property
    def server(self) -> str: ...


class Case(Pair, Protocol):
    """What a drawing needs to know of a judged pair."""

    @property
    def expected(self) -> str: ...
    @property
    def observed(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def symbols(self) -> tuple[str, str]: ...


def draw_cases(cases: Sequence[Case], *, title: str = "") -> str:
    """The whole picture; cells that differ carry "!". Columns are numbered, rows are clients."""
    clients, servers = sides_of(cases)
    found = {(case.client, case.server): case for case in cases}
    left = _table(clients, servers, {pair: case.symbols[0] for pair, case in found.items()})
    right = _table(clients, servers, {pair: _cell(case) for pair, case in found.items()})
    names = [f"{client:<{max(map(len, clients))}}" for client in clients]
    lines = [title] if title else []
    together = len(names[0]) + 2 + len(left[0]) + 4 + len(right[0])
    if together <= _WIDTH:
        lines += [f"{'':<{len(names[0])}}  {'expected':<{len(left[0])}}    observed"]
        lines += [
            f"{name}  {one:<{len(left[0])}}    {other}".rstrip()
            for name, one, other in zip([" " * len(names[0]), *names], left, right, strict=True)
        ]
    else:
        for caption, table in (("expected", left), ("observed", right)):
            lines += [f"{'':<{len(names[0])}}  {caption}"]
            lines += [f"{name}  {row}".rstrip() for name, row in zip([" " * len(names[0]), *names], table, strict=True)]
    lines += _wrapped("to", [f"{number} {server}" for number, server in enumerate(servers, 1)])
    used = {symbol for case in cases for symbol in (case.symbols[0], _cell(case)[0])}
    legend = [f"{symbol} {meaning}" for symbol, meaning in MEANINGS.items() if symbol in used]
    lines += _wrapped("", [*legend, f"{MARK} differs", f"{NOT_ASKED} {MEANINGS[NOT_ASKED]}"])
    return "\n".join([*lines, *_differences(cases)])


def sides_of(cases: Iterable[Pair]) -> tuple[list[str], list[str]]:
    """The rows and the columns of these pairs: clients, and servers, each once, in order of appearance."""
    cases = list(cases)
    clients = list(dict.fromkeys(case.client for case in cases))
    servers = list(dict.fromkeys(case.server for case in cases))
    if set(servers) <= set(clients):  # the same order on both sides puts "itself" on the diagonal
        servers = [name for name in clients if name in servers]
    return clients, servers


def _cell(case: Case) -> str:
    symbol = case.symbols[1]
    if case.ok:
        return "-" if case.symbols[0] == "-" else symbol
    return ("s" if symbol == "+" == case.symbols[0] else symbol) + MARK


def _table(clients: list[str], servers: list[str], cells: dict[tuple[str, str], str]) -> list[str]:
    width = max(2, len(str(len(servers))))
    head = " ".join(f"{number:<{width}}" for number in range(1, len(servers) + 1))
    rows = [" ".join(f"{cells.get((client, server), NOT_ASKED):<{width}}" for server in servers) for client in clients]
    return [head, *rows]


def _differences(cases: Sequence[Case]) -> list[str]:
    differing = [case for case in cases if not case.ok]
    if not differing:
        return []
    width = max(len(case.client) + len(case.server) + 4 for case in differing[:_CASES_SHOWN])
    lines = [f"{len(differing)} of {len(cases)} pairs differ:"]
    for case in differing[:_CASES_SHOWN]:
        name = f"{case.client}-to-{case.server}"
        lines.append(f"  {name:<{width}}  expected {case.expected}, saw {case.observed}")
    if len(differing) > _CASES_SHOWN:
        lines.append(f"  ... and {len(differing) - _CASES_SHOWN} more")
    return lines


def _wrapped(caption: str, words: list[str]) -> list[str]:
    lines, line = [], caption
    for word in words:
        if len(line) + 3 + len(word) > _WIDTH and line.strip():
            lines.append(line)
            line = " " * len(caption)
        line += ("   " if line.strip() else "") + word
    return [*lines, line] if line.strip() else lines
