"""What a pod's status says about it, as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

__all__ = ["is_ready", "is_running", "last_condition", "unrest"]

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


def unrest(pod: Object | None, uid: str, *, since: datetime) -> str:
    """Why nothing can be concluded from what was seen of this pod after `since`; empty when it ran all the time."""
    if pod is None or pod["metadata"]["uid"] != uid:
        return "was deleted" if pod is None else "was replaced"
    if not is_running(pod):
        return f"does not run: {last_condition(pod)}"
    for status in pod["status"]["containerStatuses"]:
        ended = status.get("lastState", {}).get("terminated", {}).get("finishedAt")
        if ended and datetime.fromisoformat(ended) >= since:
            return f"ended and was started again at {ended}"
    return ""


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
