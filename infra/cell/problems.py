"""What goes wrong on a cell, as one line for whoever asked."""

from __future__ import annotations

__all__ = ["CellProblem", "Refused"]


class CellProblem(Exception):
    """Something that does not work; the text is one line: what, where, and what to do."""


class Refused(CellProblem):
    """A request that is not done; `status` is HTTP's."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status
