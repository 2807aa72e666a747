"""Ordered pairs of places, for rows that judge some pairs and not others. Whole grids are in expectations.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from kip_conformance.infra.judge.expectations import Expectation, Expected, Named
from kip_conformance.infra.targets.protocol import Place

__all__ = ["Pairs", "across_machines", "each_of", "in_turn", "on_one_machine"]

ClientT = TypeVar("ClientT", bound=Named)
ServerT = TypeVar("ServerT", bound=Named)

Pairs = tuple[tuple[Place, Place], ...]


def on_one_machine(clients: Sequence[Place], servers: Sequence[Place]) -> Pairs:
    """Every client with every other server of its own machine."""
    return tuple((a, b) for a in clients for b in servers if a.machine == b.machine and a.name != b.name)


def across_machines(clients: Sequence[Place], servers: Sequence[Place]) -> Pairs:
    """Every client with every server of every other machine."""
    return tuple((a, b) for a in clients for b in servers if a.machine != b.machine)


def in_turn(clients: Sequence[ClientT], servers: Sequence[ServerT]) -> tuple[tuple[ClientT, ServerT], ...]:
    """Every client with one server, the servers in turn: flows that share no client, so that none can clash."""
    return tuple(zip(clients, itertools.cycle(servers), strict=False))


def each_of(
    pairs: Iterable[tuple[ClientT, ServerT]], expectation: Expectation | Callable[[ClientT, ServerT], Expectation]
) -> Expected:
    """One expectation, or what a function of (client, server) makes, for each of these pairs."""
    return Expected(
        {
            (client.name, server.name): (
                expectation if isinstance(expectation, Expectation) else expectation(client, server)
            )
            for client, server in pairs
        }
    )
