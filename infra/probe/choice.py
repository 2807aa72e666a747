"""Probing what chooses among several peers: how often to ask, and what many answers amount to. Pure values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from math import ceil, log

from kip_conformance.infra.probe.observation import Observation

__all__ = ["attempts_for", "chosen", "worst"]


def attempts_for(peers: int, *, chance: float = 1e-9) -> int:
    """How many even choices among `peers` miss any one of them with less than `chance`: peers * (1 - 1/peers)^n."""
    return 3 if peers < 2 else ceil(log(chance / peers) / log(1 - 1 / peers))


_SEVERITY = ("wrong_peer", "no_name", "timeout", "unreachable", "reset", "refused")


def worst(observations: Sequence[Observation]) -> Observation:
    """The gravest of several attempts, saying how many were like it; an open one when all were."""
    unanswered = [observation for observation in observations if not observation.is_open]
    if not unanswered:
        return observations[0]
    worst = min(unanswered, key=lambda observation: _SEVERITY.index(observation.kind))
    kinds = Counter(observation.kind for observation in unanswered)
    counts = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
    detail = "; ".join(filter(None, [worst.detail, f"of {len(observations)} attempts: {counts}"]))
    return Observation(worst.kind, worst.peer, worst.seen_source, worst.rtt, detail)


def chosen(observations: Sequence[Observation], peer: str, own: Collection[str]) -> Observation:
    """What a client saw of one peer. Of several sources that the peer saw, one that is not the client's own."""
    answers = [observation for observation in observations if observation.is_open and observation.peer == peer]
    if not answers:
        return Observation("wrong_peer", detail=f"never chosen in {len(observations)} probes")
    sources = Counter(answer.seen_source for answer in answers)
    answer = next((answer for answer in answers if answer.seen_source not in own), answers[0])
    detail = "" if len(sources) < 2 else f"saw {len(sources)} sources: {', '.join(map(str, sources))}"
    return Observation("open", peer, answer.seen_source, answer.rtt, detail)
