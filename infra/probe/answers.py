"""What probers answer besides observations: interfaces, names, path MTU, and how they themselves are. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Interface", "NameQuery", "PairedLookups", "Record", "Resolution", "SizeAnswer", "Stats"]


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface as its place sees it. `addresses` carry their prefix length, as in 10.244.1.5/24."""

    name: str
    index: int
    mtu: int
    is_up: bool
    mac: str
    addresses: tuple[str, ...]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Interface:
        addresses = tuple(f"{item['address']}/{item['prefix']}" for item in raw["addresses"])
        return cls(raw["name"], raw["index"], raw["mtu"], raw["up"], raw["mac"], addresses)


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a DNS answer; `data` as zone files write it (an SRV: priority weight port target)."""

    name: str
    type: str
    ttl: int
    data: str


@dataclass(frozen=True, slots=True)
class NameQuery:
    """One question that was put to one server on the way; `elapsed` in seconds."""

    question: str
    server: str
    protocol: str
    rcode: str | None
    error: str
    elapsed: float


@dataclass(frozen=True, slots=True)
class Resolution:
    """The outcome of resolving a name. `rcode` is None when no server answered; `error` then says why.

    `question` is the name that was answered, of those that the search path gives; `is_truncated` that a UDP answer did
    not fit (the answers are then the ones over TCP).
    """

    rcode: str | None
    answers: tuple[Record, ...]
    server: str | None
    protocol: str | None
    question: str | None
    is_truncated: bool
    elapsed: float
    error: str
    tried: tuple[NameQuery, ...]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Resolution:
        return cls(
            rcode=raw["rcode"],
            answers=tuple(Record(**record) for record in raw["answers"]),
            server=raw.get("server"),
            protocol=raw.get("protocol"),
            question=raw.get("question"),
            is_truncated=raw["truncated"],
            elapsed=raw["elapsed"],
            error=raw["error"],
            tried=tuple(NameQuery(**query) for query in raw["tried"]),
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """The data of the A and AAAA records."""
        return tuple(record.data for record in self.answers if record.type in ("A", "AAAA"))


@dataclass(frozen=True, slots=True)
class PairedLookups:
    """What many lookups of one name came to, each asking for A and AAAA at once from one socket, nothing sent twice.

    `asked` counts lookups, `slowest` is the seconds of the slowest complete one, less those by which the prober itself
    ran late. `lost` counts unanswered questions by type, `answers` the others by type, rcode and number of records.
    """

    asked: int
    slowest: float
    lost: Mapping[str, int]
    answers: Mapping[str, int]

    @property
    def wrong(self) -> tuple[str, ...]:
        """Answers other than addresses for A, and addresses or "none of that type" for AAAA."""
        return tuple(what for what in self.answers if " NOERROR " not in what or what == "A NOERROR 0")

    def __str__(self) -> str:
        def counts(these: Mapping[str, int]) -> str:
            return ", ".join(f"{what} x{count}" for what, count in sorted(these.items())) or "none"

        words = f"lost {counts(self.lost)}; answers {counts(self.answers)}; slowest {self.slowest:.3f} s"
        return f"{self.asked} lookups: {words}"


@dataclass(frozen=True, slots=True)
class SizeAnswer:
    """What became of one packet of `size` bytes (IPv4 header included) that must not be fragmented.

    "passes" that the peer answered it; "fragmentation-needed" that somebody (`teller`: an address, or "local") told an
    MTU; "silent" a black hole, or nobody there. Other outcomes are kinds of observations.
    """

    size: int
    outcome: Literal["passes", "fragmentation-needed", "silent", "refused", "reset", "unreachable", "timeout", "error"]
    mtu: int | None = None
    teller: str = ""
    peer: str | None = None
    detail: str = ""
    rtt: float | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """How a prober is: memory (bytes), descriptors, CPU seconds, seconds by which it ran late, nonces seen."""

    rss: int
    fds: int
    cpu: float
    lost: float
    seen: int
    channels: int
    connections: int
    active: int
