"""The errors that end a run or an item without being a verdict.

Nothing here subclasses AssertionError: an assertion is a verdict about the cluster under test, these never are.
"""

from __future__ import annotations

__all__ = ["EnvironmentFault", "HarnessError", "KipError", "NotRunnable", "UsageError"]


class KipError(Exception):
    """An error whose text is one clear line: what, where, and what to do. `exit_code` is the process's."""

    exit_code = 10


class HarnessError(KipError):
    """The harness could not observe; says nothing about the cluster under test. Reported as harness-error."""


class EnvironmentFault(KipError):
    """This machine lacks something the run needs (root, a tool, disk, inotify instances, a free port)."""


class NotRunnable(KipError):
    """A row, or all that is left of it, cannot be judged here; the text is the reason. Reported as not-runnable."""


class UsageError(KipError):
    """A value the user gave is unknown or unusable; the message lists what would be accepted."""

    exit_code = 4
