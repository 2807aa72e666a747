"""Who makes instances run: the seam between the API and whatever stands for machines.

The API tells a Realizer what instances are to do, after it is on disk, and is told by `Reports` when it is done. What
was under way when a server was killed is told again at its next start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

__all__ = ["AtOnce", "External", "Realizer", "Reported", "Reports"]

Reported = Literal["running", "stopped", "terminated", "failed", "off", "rebooting"]


class Reports(Protocol):
    """What a Realizer tells the API; from any thread."""

    def report(self, instance_ids: Sequence[str], state: Reported, reason: str = "") -> None:
        """Instances have arrived in a state. `failed`, with a reason, ends those that could not be started.

        `off` and `rebooting` are what running ones did by themselves.
        """


class Realizer(Protocol):
    """Starts and ends the machines of instances. Every method returns at once; the work is done elsewhere."""

    def start(self, instance_ids: Sequence[str]) -> None:
        """Instances are pending: report each as running, or failed."""

    def stop(self, instance_ids: Sequence[str]) -> None:
        """Instances are stopping: report each as stopped."""

    def terminate(self, instance_ids: Sequence[str]) -> None:
        """Instances are shutting down: report each as terminated."""

    def reboot(self, instance_ids: Sequence[str]) -> None:
        """Instances are to boot again; they stay running and nothing is reported."""

    def changed(self, version: int) -> None:
        """The state on disk has this version now."""

    def console(self, instance_id: str) -> bytes:
        """What the instance has written to its console so far."""


class AtOnce:
    """No machines: whatever is asked for has happened."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def start(self, instance_ids: Sequence[str]) -> None:
        self._reports.report(instance_ids, "running")

    def stop(self, instance_ids: Sequence[str]) -> None:
        self._reports.report(instance_ids, "stopped")

    def terminate(self, instance_ids: Sequence[str]) -> None:
        self._reports.report(instance_ids, "terminated")

    def reboot(self, instance_ids: Sequence[str]) -> None:
        pass

    def changed(self, version: int) -> None:
        pass

    def console(self, instance_id: str) -> bytes:
        return b""


class External:
    """Another process: it follows `/_kip/view`, where states say what is to be done, and posts to `/_kip/instances`."""

    def __init__(self, consoles: str = "") -> None:
        self._consoles = consoles

    def start(self, instance_ids: Sequence[str]) -> None:
        pass

    def stop(self, instance_ids: Sequence[str]) -> None:
        pass

    def terminate(self, instance_ids: Sequence[str]) -> None:
        pass

    def reboot(self, instance_ids: Sequence[str]) -> None:
        pass

    def changed(self, version: int) -> None:
        pass

    def console(self, instance_id: str) -> bytes:
        """`consoles` is a path with {id} in it; a file that is not there yet is an empty console."""
        if not self._consoles:
            return b""
        try:
            with open(self._consoles.format(id=instance_id), "rb") as file:
                return file.read()
        except OSError:
            return b""
