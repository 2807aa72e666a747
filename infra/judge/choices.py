"""Whom a target that chooses among its peers chose for each client: all of them in time, or always the same one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kip_conformance.infra.judge.grid import Grid
from kip_conformance.infra.probe.probe_target import ProbeTarget

__all__ = ["Choice", "Choices", "every_peer_is_chosen", "one_peer_is_kept"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What one client met behind one target: the peers that answered, of all those that could, and what went wrong."""

    client: str
    target: str
    met: frozenset[str]
    peers: frozenset[str]
    trouble: str = ""

    def __str__(self) -> str:
        words = f"{self.client} at {self.target} met {', '.join(sorted(self.met)) or 'nobody'}"
        return f"{words} ({self.trouble})" if self.trouble else words


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of every client at every target."""

    each: tuple[Choice, ...]

    @classmethod
    def of(cls, targets: Iterable[ProbeTarget], grids: Iterable[Grid]) -> Choices:
        """From one grid of the driver's `through` for each target: a column is the target, the others are its peers."""
        return cls(
            tuple(
                Choice(
                    client,
                    target.name,
                    frozenset(peer for peer in target.peers if grid[client, peer].is_open),
                    frozenset(target.peers),
                    "" if grid[client, target.name].is_open else str(grid[client, target.name]),
                )
                for target, grid in zip(targets, grids, strict=True)
                for client in dict.fromkeys(client for client, _ in grid)
            )
        )

    def __str__(self) -> str:
        return "; ".join(map(str, self.each))

    def is_repeated_by(self, later: Choices) -> bool:
        """Whether every client met the same peers again, and no trouble."""
        return later == self


def every_peer_is_chosen(choices: Choices) -> bool:
    """Whether every client met every peer of every target, and every time somebody."""
    return all(choice.met == choice.peers and not choice.trouble for choice in choices.each)


def one_peer_is_kept(choices: Choices) -> bool:
    """Whether every client met one peer alone at every target, every time."""
    return all(len(choice.met) == 1 and not choice.trouble for choice in choices.each)
