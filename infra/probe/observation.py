"""What one probe saw. Values only: who sends probes is driver.py, what they should have seen is judge/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["DENIED_KINDS", "NOT_VOUCHED", "REQUEST_ARRIVED", "SYMBOLS", "Kind", "Observation"]

Kind = Literal["open", "refused", "reset", "timeout", "unreachable", "no_name", "wrong_peer"]

# What a sender sees when something on the path keeps a packet from its target.
DENIED_KINDS = frozenset({"refused", "reset", "timeout", "unreachable"})

# Phrases that the driver puts into `detail` when an observation must not be taken for a denial.
REQUEST_ARRIVED = "request arrived, reply lost"
NOT_VOUCHED = "no listener vouches for this target"

SYMBOLS: dict[Kind, str] = {
    "open": "+",
    "refused": "R",
    "reset": "X",
    "timeout": "T",
    "unreachable": "U",
    "no_name": "N",
    "wrong_peer": "W",
}


@dataclass(frozen=True, slots=True)
class Observation:
    """The outcome of one probe.

    `open` means that the nonce came back from the expected peer. `peer` is the place that answered, `seen_source` the
    source address which that peer saw, `rtt` seconds from first packet to answer, `detail` one short phrase for people
    (an errno name, "never chosen in 40 probes"). `wrong_peer` is also any answer that is not ours or arrived damaged:
    whoever sent it, the expected peer did not answer the question. For UDP, refused, unreachable and timeout are one
    class, because kernels rate-limit ICMP: compare with `is_denied`, never by kind.
    """

    kind: Kind
    peer: str | None = None
    seen_source: str | None = None
    rtt: float | None = None
    detail: str = ""

    @property
    def is_open(self) -> bool:
        return self.kind == "open"

    @property
    def symbol(self) -> str:
        """One character for drawing."""
        return SYMBOLS[self.kind]

    def __str__(self) -> str:
        if self.kind == "open":
            return f"open({self.peer} saw {self.seen_source})"
        if self.kind == "wrong_peer":
            return f"wrong_peer({self.peer or 'none'}{': ' + self.detail if self.detail else ''})"
        return f"{self.kind}({self.detail})" if self.detail else self.kind
