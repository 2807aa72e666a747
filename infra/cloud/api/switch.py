"""The fault switch: errors that calls are to meet, as the real API has them when it is throttled or out of capacity.

Set at `/_kip/faults`, which is no action of the API. A fault names actions by pattern and an error code, and holds for
a number of calls or for a share of them.
"""

from __future__ import annotations

import fnmatch
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.cloud.api.call import Refusal
from kip_conformance.infra.errors import UsageError

__all__ = ["Fault", "Switch"]

# Codes of server errors and what they come with ("Amazon EC2 API Reference, Error codes"); the rest is 400.
STATUS = {
    "RequestLimitExceeded": 503, "InternalError": 500, "InternalFailure": 500, "ServiceUnavailable": 503,
    "Unavailable": 503, "InsufficientInstanceCapacity": 500, "InsufficientAddressCapacity": 500,
    "InsufficientHostCapacity": 500,
}  # fmt: skip
MESSAGES = {
    "RequestLimitExceeded": "Request limit exceeded.",
    "InternalError": "An internal error has occurred",
    "Unavailable": "The server is overloaded and can't handle the request.",
    "InsufficientInstanceCapacity": "There is not enough capacity to fulfill your request.",
}


@dataclass(slots=True)
class Fault:
    """`action` is a name or a pattern as in shells. `times` calls meet it (None: all), each with the chance `rate`."""

    action: str
    code: str
    times: int | None = None
    rate: float = 1.0
    met: int = 0

    def __post_init__(self) -> None:
        if not self.action or not self.code:
            raise UsageError("a fault needs action and code")
        if not 0 < self.rate <= 1 or (self.times is not None and self.times < 1):
            raise UsageError("a fault's rate is above 0 and at most 1, its times at least 1")


@dataclass(slots=True)
class Switch:
    """The faults that are on; `chance` has a seed, so that a run can be repeated."""

    faults: list[Fault] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def replace(self, wanted: Sequence[dict[str, Any]]) -> None:
        """Switch to these faults. Raises UsageError when one cannot be used."""
        try:
            self.faults = [Fault(**entry) for entry in wanted]
        except TypeError as error:
            raise UsageError(f"a fault has action, code, times and rate: {error}") from error

    def meet(self, action: str) -> None:
        """Raises Refusal when a call of the action is to meet a fault."""
        for fault in self.faults:
            if fault.times is not None and fault.met >= fault.times:
                continue
            if fnmatch.fnmatchcase(action, fault.action) and self.chance.random() < fault.rate:
                fault.met += 1
                message = MESSAGES.get(fault.code, "This call meets a fault that was switched on.")
                raise Refusal(fault.code, message, STATUS.get(fault.code, 400))
