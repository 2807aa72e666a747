"""How a target that chooses among its peers shared connections out: who was chosen how often, and what is even."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kip_conformance.infra.probe.observation import Observation

__all__ = ["Shares"]


@dataclass(frozen=True, slots=True)
class Shares:
    """By client, how often each peer answered; zero for one that never did. `unanswered` is what else was seen."""

    counts: Mapping[str, Mapping[str, int]]
    unanswered: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, series: Mapping[str, Sequence[Observation]], peers: Sequence[str]) -> Shares:
        """From all observations of each client."""
        answers = {name: Counter(seen.peer for seen in all_seen if seen.is_open) for name, all_seen in series.items()}
        others = {
            name: Counter(str(seen) for seen in all_seen if not seen.is_open) for name, all_seen in series.items()
        }
        return cls(
            {name: {peer: answered[peer] for peer in peers} for name, answered in answers.items()},
            {name: dict(kinds) for name, kinds in others.items() if kinds},
        )

    def never_chosen(self) -> tuple[str, ...]:
        """A line for each client that did not meet every peer."""
        return tuple(
            f"{client} never met {', '.join(missed)} in {sum(counts.values())} connections"
            for client, counts in self.counts.items()
            if (missed := [peer for peer, count in counts.items() if not count])
        )

    def uneven(self, *, least: float, most: float) -> tuple[str, ...]:
        """A line for each client of whose connections a peer got less than `least` or more than `most` times its share.

        A peer's share is an equal one: all answered connections of the client by the number of peers.
        """
        found = []
        for client, counts in self.counts.items():
            share = sum(counts.values()) / len(counts)
            if any(not least * share <= count <= most * share for count in counts.values()):
                told = ", ".join(f"{peer} {count}" for peer, count in counts.items())
                found.append(f"{client}: {told} (an equal share is {share:g})")
        return tuple(found)
