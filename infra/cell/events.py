"""What has happened to the pod, in kubelet's words: the provider makes Events of the cluster from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from kip_conformance.infra.cell.clock import now

__all__ = ["KEPT", "Events"]

KEPT = 100


class Events:
    """The last hundred. Numbers go on after a restart of the agent, when it is given what there was."""

    def __init__(self, before: Iterable[Mapping[str, Any]] = ()) -> None:
        self._kept: deque[dict[str, Any]] = deque((dict(one) for one in before), KEPT)
        self._number = self._kept[-1]["id"] if self._kept else 0

    def add(self, kind: str, reason: str, message: str, field: str = "") -> None:
        """`kind` is Normal or Warning, `field` the path of what it is about within the pod."""
        self._number += 1
        self._kept.append(
            {
                "id": self._number,
                "type": kind,
                "reason": reason,
                "message": message[:1024],
                "fieldPath": field,
                "time": now(),
            }
        )

    def list(self) -> list[dict[str, Any]]:
        return list(self._kept)
