"""What a pod's status says about it, as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["is_ready", "is_running", "last_condition"]

Object = Mapping[str, Any]


def is_running(pod: Object | None) -> bool:
    """Whether every container runs and the pod has an address."""
    statuses = (pod or {}).get("status", {}).get("containerStatuses") or []
    return bool(statuses) and all("running" in each["state"] for each in statuses) and "podIP" in pod["status"]  # type: ignore[index]


def is_ready(pod: Object | None) -> bool:
    """Whether the pod runs and its condition Ready is True."""
    return is_running(pod) and any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in pod["status"].get("conditions") or []  # type: ignore[index]
    )


def last_condition(pod: Object | None) -> str:
    """One line that says why a pod does not run."""
    if pod is None:
        return "the pod does not exist"
    for status in pod["status"].get("containerStatuses") or []:
        for state, why in status["state"].items():
            if state != "running":
                return (
                    f"container {status['name']} is {state}: {why.get('reason', '')} {why.get('message', '')}".strip()
                )
    conditions = [each for each in pod["status"].get("conditions") or [] if each["status"] != "True"]
    if conditions:
        return f"{conditions[0]['type']} is {conditions[0]['status']}: {conditions[0].get('message', '')}"
    return f"phase {pod['status'].get('phase', 'unknown')}"
