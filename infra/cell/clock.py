"""The time of day as the Kubernetes API writes it."""

from __future__ import annotations

import time

__all__ = ["now", "seconds_of"]


def now(seconds: float | None = None) -> str:
    """RFC 3339, whole seconds, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def seconds_of(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time. Raises ValueError."""
    import calendar

    head, _, zone = text.replace("z", "Z").partition("Z")
    if zone or "Z" not in text.upper():
        from datetime import datetime

        return datetime.fromisoformat(text).timestamp()
    whole, _, fraction = head.partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds + (float(f"0.{fraction}") if fraction else 0.0)
