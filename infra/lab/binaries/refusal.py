"""Refused: one source says why it cannot provide a component; a reason to ask the next source, not yet an error."""

from __future__ import annotations

__all__ = ["Refused"]


class Refused(Exception):
    """The text is the reason, short enough for one progress line, without the component's name in front."""
