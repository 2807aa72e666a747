"""Verdicts: how the outcomes of items fold into one verdict per (requirement, proxy mode), and into an exit code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

__all__ = ["EXIT_CONFORMANT", "EXIT_HARNESS", "EXIT_NOT_CONFORMANT", "EXIT_USAGE", "Verdict", "exit_code", "fold"]

Verdict = Literal["pass", "fail", "not-runnable", "harness-error"]

EXIT_CONFORMANT = 0
EXIT_NOT_CONFORMANT = 1
EXIT_USAGE = 4
EXIT_HARNESS = 10

# The gravest first: a defect seen outranks an observation that could not be made, which outranks one not attempted.
_GRAVITY: tuple[Verdict, ...] = ("fail", "harness-error", "not-runnable", "pass")


def fold(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a row from those of its items: fail > harness-error > not-runnable > pass.

    Raises ValueError when there are none: a row that nothing judged has no verdict.
    """
    return min(verdicts, key=_GRAVITY.index)


def exit_code(rows: Iterable[tuple[str, Verdict]]) -> int:
    """The exit code of a run from (level, verdict) of its rows.

    A failed M row, or a failed X row whose feature is declared, gives 1; else any harness-error gives 10; else 0.
    A failed S row is shown and does not change the code.
    """
    rows = list(rows)
    if any(verdict == "fail" and level in ("M", "X") for level, verdict in rows):
        return EXIT_NOT_CONFORMANT
    if any(verdict == "harness-error" for _, verdict in rows):
        return EXIT_HARNESS
    return EXIT_CONFORMANT
