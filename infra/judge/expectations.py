"""What an observation should be: `is_open(...)`, `is_denied`, and one of them for every pair of a grid.

No comparing of grids here (grid.py) and no waiting (waits.py).

What `is_denied` decides: a sender that got no answer is denied only when the target's own prober reached the listener
in the same batch, which the driver has seen to before it returns an observation at all. Two cases remain in which
silence is no denial, and both are harness errors rather than verdicts: nothing vouches for the target, and the request
arrived while its answer was lost. The latter is no denial (the packet was delivered) and no proof of an open path
either; where a row expects `is_open`, the same observation is an ordinary failure that says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.probe.observation import DENIED_KINDS, NOT_VOUCHED, REQUEST_ARRIVED, Observation

__all__ = ["Expectation", "Expected", "Named", "Sourced", "every_pair", "is_denied", "is_open", "is_refused"]


class Named(Protocol):
    """Anything with the name of a place or of a target."""

    @property
    def name(self) -> str: ...


class Sourced(Named, Protocol):
    """Anything with the addresses that count as its source, such as a Place."""

    @property
    def sources(self) -> tuple[str, ...]: ...


ClientT = TypeVar("ClientT", bound=Named)
ServerT = TypeVar("ServerT", bound=Named)


class Expectation(ABC):
    """A predicate over one observation that can say in words what it wants and what it got instead."""

    symbol = "?"

    @abstractmethod
    def __call__(self, observation: Observation) -> bool:
        """Whether the observation is as expected. Raises HarnessError when it cannot count either way."""

    def describe(self, observation: Observation) -> str:
        """The observation in the terms of this expectation."""
        return str(observation)


@dataclass(frozen=True, slots=True)
class _Open(Expectation):
    peers: frozenset[str] | None
    source: frozenset[str] | None
    symbol = "+"

    def __call__(self, observation: Observation) -> bool:
        return (
            observation.is_open
            and (self.peers is None or observation.peer in self.peers)
            and (self.source is None or observation.seen_source in self.source)
        )

    def __str__(self) -> str:
        words = "open"
        if self.peers is not None:
            words += f" to {_any_of(self.peers)}"
        if self.source is not None:
            words += f" with source {_any_of(self.source)}"
        return words

    def describe(self, observation: Observation) -> str:
        if not observation.is_open:
            return str(observation)
        words = "open"
        if self.peers is not None:
            words += f" to {observation.peer}"
        if self.source is not None:
            words += f" with source {observation.seen_source}"
        return f"{words} ({observation.detail})" if observation.detail else words


class _Denied(Expectation):
    symbol = "-"

    def __call__(self, observation: Observation) -> bool:
        if observation.kind not in DENIED_KINDS:
            return False
        for excuse in (REQUEST_ARRIVED, NOT_VOUCHED):
            if excuse in observation.detail:
                raise HarnessError(f"silence that is no denial: {observation}")
        return True

    def __str__(self) -> str:
        return "denied"

    __repr__ = __str__


is_denied: Expectation = _Denied()


class _Refused(Expectation):
    symbol = "R"

    def __call__(self, observation: Observation) -> bool:
        return observation.kind == "refused"

    def __str__(self) -> str:
        return "refused"

    __repr__ = __str__


is_refused: Expectation = _Refused()
"""A TCP connect was answered by RST at once. An answer is no silence, so nothing has to vouch for the listener."""


def is_open(
    to: Named | str | Iterable[Named | str] | None = None, source: Sourced | str | Iterable[str] | None = None
) -> Expectation:
    """The expected peer answered; with `to`, one of these; with `source`, it saw one of these source addresses.

    A place given as source stands for every address that counts as its own.
    """
    return _Open(None if to is None else _names(to), None if source is None else _addresses(source))


class Expected(Mapping[tuple[str, str], Expectation]):
    """What should be seen for each (client, server) by name. Called with a Grid it compares, for `eventually`."""

    def __init__(self, expectations: Mapping[tuple[str, str], Expectation]) -> None:
        self._expectations = dict(expectations)

    def __getitem__(self, pair: tuple[str, str]) -> Expectation:
        return self._expectations[pair]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._expectations)

    def __len__(self) -> int:
        return len(self._expectations)

    def __or__(self, other: Expected) -> Expected:
        """Both, the right one winning: a rule and its exceptions."""
        return Expected({**self._expectations, **other._expectations})

    def __call__(self, grid: object) -> bool:
        return bool(grid == self)

    def __str__(self) -> str:
        kinds = sorted({str(expectation) for expectation in self._expectations.values()})
        words = ", ".join(kinds[:3]) + (", ..." if len(kinds) > 3 else "")
        return f"as expected in all {len(self)} pairs ({words})"


def every_pair(
    clients: Iterable[ClientT],
    servers: Iterable[ServerT],
    expectation: Expectation | Callable[[ClientT, ServerT], Expectation],
    *,
    with_self: bool = False,
) -> Expected:
    """One expectation, or what a function of (client, server) makes, for every ordered pair.

    A client is not paired with itself unless `with_self`, as in the driver's `all`.
    """
    servers = list(servers)
    return Expected(
        {
            (client.name, server.name): (
                expectation if isinstance(expectation, Expectation) else expectation(client, server)
            )
            for client in clients
            for server in servers
            if with_self or client.name != server.name
        }
    )


def _names(to: Named | str | Iterable[Named | str]) -> frozenset[str]:
    if isinstance(to, str):
        return frozenset({to})
    if isinstance(to, Iterable):
        return frozenset().union(*map(_names, to))
    return frozenset({to.name})


def _addresses(source: Sourced | str | Iterable[str]) -> frozenset[str]:
    if isinstance(source, str):
        return frozenset({source})
    if isinstance(source, Iterable):
        return frozenset(source)
    return frozenset(source.sources)


def _any_of(words: frozenset[str]) -> str:
    return " or ".join(sorted(words)) or "(none)"
