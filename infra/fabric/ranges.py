"""IPv4 ranges as texts: parsed, and which of them overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, collapse_addresses

__all__ = ["joined", "network", "overlapping"]


@lru_cache(maxsize=4096)
def network(text: str) -> IPv4Network:
    """Raises ValueError for what is no range."""
    return IPv4Network(text)


def joined(texts: Iterable[str]) -> tuple[str, ...]:
    """The same addresses as ranges that neither overlap nor touch: nft refuses the others."""
    return tuple(str(one) for one in collapse_addresses(network(text) for text in texts))


def overlapping(texts: Sequence[str], others: Sequence[str] | None = None) -> Iterator[tuple[str, str]]:
    """Pairs that overlap: within `texts`, or between `texts` and `others`."""
    for index, text in enumerate(texts):
        for other in texts[:index] if others is None else others:
            if network(text).overlaps(network(other)):
                yield (other, text) if others is None else (text, other)
