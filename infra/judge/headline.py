"""The headline of a comparison: who -> whom, what was expected and seen, and the pattern of all that differs.

The pattern is found, not guessed: a description counts only when the pairs it covers are exactly those that differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Site", "headline_of"]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a place is: its machine, and its kind (pod, hostnet, host)."""

    machine: str
    kind: str


class Case(Protocol):
    """What a headline needs to know of a judged pair."""

    @property
    def client(self) -> str: ...
    @property
    def server(self) -> str: ...
    @property
    def expected(self) -> str: ...
    @property
    def observed(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def symbols(self) -> tuple[str, str]: ...


Pairs = frozenset[tuple[str, str]]


def headline_of(cases: Sequence[Case], sites: Mapping[str, Site]) -> str:
    """The headline, or "" when every case is as expected."""
    differing = [case for case in cases if not case.ok]
    if not differing:
        return ""
    first = next((case for case in differing if case.symbols[1] != "?"), differing[0])
    words = f"{first.client} -> {first.server}: expected {first.expected}, saw {first.observed}"
    if len(cases) == 1:
        return words
    pairs, asked = frozenset(_pair(case) for case in differing), frozenset(_pair(case) for case in cases)
    where = pattern(pairs, asked, sites)
    also = _other_sights(differing)
    return f"{words} ({len(differing)} of {len(cases)} pairs differ: {where}{also})"


def pattern(differing: Pairs, asked: Pairs, sites: Mapping[str, Site]) -> str:
    """What the differing pairs have in common, in words."""
    for words, covered in _descriptions(asked, sites):
        if covered == differing:
            return words + _direction(differing, asked)
    clients, servers = {client for client, _ in differing}, {server for _, server in differing}
    if len(differing) == 1:
        return "this one alone" + _direction(differing, asked)
    if len(clients) == 1:
        return f"all from {clients.pop()}, to {_some(servers)}"
    if len(servers) == 1:
        return f"all to {servers.pop()}, from {_some(clients)}"
    for words, covered in _descriptions(asked, sites):
        if differing < covered and covered != asked and len(differing) * 2 > len(covered):
            return f"{len(differing)} of the {len(covered)} pairs {words.removeprefix('every pair ')}"
    return f"from {_some(clients)} to {_some(servers)}"


def _descriptions(asked: Pairs, sites: Mapping[str, Site]) -> Iterator[tuple[str, Pairs]]:
    """Every simple way to say some of the pairs, the plainest first."""

    def those(client_is: object = None, server_is: object = None) -> Pairs:
        return frozenset(
            (client, server)
            for client, server in asked
            if (client_is is None or client in client_is) and (server_is is None or server in server_is)  # type: ignore[operator]
        )

    clients = sorted({client for client, _ in asked})
    servers = sorted({server for _, server in asked})
    if len(asked) > 1:
        yield "every pair", asked
    for name in clients:
        if len(those({name})) > 1:
            yield f"every pair from {name}", those({name})
    for name in servers:
        if len(those(None, {name})) > 1:
            yield f"every pair to {name}", those(None, {name})
    for name in sorted({*clients} & {*servers}):
        yield f"every pair from or to {name}", those({name}) | those(None, {name})
    yield from _by_machine(asked, sites)
    yield from _by_kind(asked, sites)


def _by_machine(asked: Pairs, sites: Mapping[str, Site]) -> Iterator[tuple[str, Pairs]]:
    def machine(name: str) -> str | None:
        return sites[name].machine if name in sites else None

    known = frozenset((c, s) for c, s in asked if machine(c) and machine(s))
    machines = sorted({site.machine for site in sites.values()})
    yield "every pair across machines", frozenset((c, s) for c, s in known if machine(c) != machine(s))
    yield "every pair within one machine", frozenset((c, s) for c, s in known if machine(c) == machine(s))
    for name in machines:
        yield f"every pair from machine {name}", frozenset((c, s) for c, s in asked if machine(c) == name)
        yield f"every pair to machine {name}", frozenset((c, s) for c, s in asked if machine(s) == name)
        yield (
            f"every pair within machine {name}",
            frozenset((c, s) for c, s in known if machine(c) == name == machine(s)),
        )
        for other in machines:
            if other != name:
                yield (
                    f"every pair from machine {name} to machine {other}",
                    frozenset((c, s) for c, s in known if machine(c) == name and machine(s) == other),
                )
        yield (
            f"every pair that leaves or enters machine {name}",
            frozenset((c, s) for c, s in known if (machine(c) == name) != (machine(s) == name)),
        )


_KINDS = {"pod": "pods", "hostnet": "hostNetwork pods", "host": "hosts", "plain": "plain hosts"}


def _by_kind(asked: Pairs, sites: Mapping[str, Site]) -> Iterator[tuple[str, Pairs]]:
    def kind(name: str) -> str | None:
        return sites[name].kind if name in sites else None

    for one, words in _KINDS.items():
        yield f"every pair from {words}", frozenset((c, s) for c, s in asked if kind(c) == one)
        yield f"every pair to {words}", frozenset((c, s) for c, s in asked if kind(s) == one)
        for other, others in _KINDS.items():
            covered = frozenset((c, s) for c, s in asked if kind(c) == one and kind(s) == other)
            yield f"every pair from {words} to {others}", covered
            apart = frozenset((c, s) for c, s in covered if sites[c].machine != sites[s].machine)
            yield f"every pair from {words} to {others} across machines", apart
            yield f"every pair from {words} to {others} within one machine", covered - apart


def _direction(differing: Pairs, asked: Pairs) -> str:
    """Says so when the other way round was asked too and was as expected, for every differing pair."""
    back = {(server, client) for client, server in differing}
    if not back <= asked or back & differing:
        return ""
    if len(back) == 1:
        client, server = next(iter(back))
        return f", while {client} -> {server} is as expected"
    return ", this direction only"


def _other_sights(differing: Sequence[Case]) -> str:
    """The other observations that differ, when they are not all of the first one's sort."""
    sights: dict[str, int] = {}
    for case in differing:
        sort = case.observed.split("(")[0].split(" with ")[0].split(" to ")[0]
        sights[sort] = sights.get(sort, 0) + 1
    if len(sights) < 2:
        return ""
    return "; saw " + ", ".join(f"{sort} x{count}" for sort, count in sights.items())


def _pair(case: Case) -> tuple[str, str]:
    return case.client, case.server


def _some(names: set[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered) if len(ordered) <= 4 else f"{', '.join(ordered[:3])} and {len(ordered) - 3} more"
