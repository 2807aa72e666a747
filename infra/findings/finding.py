"""What a walk along the path of a failed probe came to. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Evidence", "Finding", "Hop"]


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop: what it is, the machine or place where it is, and what was looked at there.

    `ok` is None when nothing can be said about it, and `said` then tells why; `owner` is who would have to mend it.
    """

    name: str
    where: str
    looked_at: str
    ok: bool | None
    said: str
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.name} on {self.where}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file that was kept: its path below the run's folder, its size in bytes and its SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The walk of one case. `first_broken` is the hop's name; with none, `headline` says what was found instead.

    `owner` is likely, not proven; `seconds` is what the walk took.
    """

    client: str
    server: str
    hops: tuple[Hop, ...] = ()
    first_broken: str = ""
    owner: str = ""
    headline: str = ""
    evidence: tuple[Evidence, ...] = ()
    seconds: float = 0.0

    @property
    def case(self) -> str:
        return f"{self.client}-to-{self.server}"

    def to_value(self) -> dict[str, Any]:
        """As results and report.yaml have it: strings, numbers, lists and dictionaries only."""
        return {
            "client": self.client,
            "server": self.server,
            "firstBroken": self.first_broken or None,
            "owner": self.owner,
            "headline": self.headline,
            "seconds": round(self.seconds, 3),
            "hops": [
                {"name": hop.name, "where": hop.where, "lookedAt": hop.looked_at, "ok": hop.ok, "said": hop.said}
                for hop in self.hops
            ],
            "evidence": [{"path": file.path, "bytes": file.size, "sha256": file.sha256} for file in self.evidence],
        }

    def text(self) -> str:
        """The walk as text, one hop a line."""
        marks = {True: "ok    ", False: "BROKEN", None: "-     "}
        lines = [f"  {marks[hop.ok]}  {hop}: {hop.said}  [{hop.looked_at}]" for hop in self.hops]
        return "\n".join([f"{self.client} -> {self.server}: {self.headline}", *lines])

    @classmethod
    def of(cls, client: str, server: str, hops: tuple[Hop, ...], otherwise: str = "") -> Finding:
        """A finding whose headline follows from its hops; `otherwise` is the headline when none of them is broken."""
        broken = next((hop for hop in hops if hop.ok is False), None)
        if broken is None:
            return cls(client, server, hops, headline=otherwise)
        owner = f" (likely owner: {broken.owner})" if broken.owner else ""
        headline = f"first broken hop: {broken}: {broken.said}{owner}"
        return cls(client, server, hops, broken.name, broken.owner, headline)
