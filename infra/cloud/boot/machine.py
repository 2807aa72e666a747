"""The life of one instance's machine: start, stop, reboot, terminate. Its console is a file on its disk.

Who calls this has made the network namespace and the instance's metadata first; boot.py runs on the machine.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.cloud.boot import boot
from kip_conformance.infra.cloud.facts import LeaseFacts
from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab import cgroups
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.state import LabFolder

__all__ = ["InstanceMachine"]


@dataclass(frozen=True, slots=True)
class InstanceMachine:
    """One instance's machine on network namespace `netns`. It has a root of its own, and so its own files."""

    control: Control
    name: str
    netns: str

    def start(self, lease: LeaseFacts) -> None:
        """Boot it; returns as soon as it runs, user data may still run. Raises HarnessError.

        The console begins anew. Its disk is that of the last start, if there was one.
        """
        _console(self.control.folder, self.name).unlink(missing_ok=True)
        self._boot(lease)

    def stop(self) -> None:
        """End it as if its power was cut: nothing of it runs when this returns. Disk and network stay.

        Nothing happens when it does not run. Raises HarnessError when it cannot be ended.
        """
        if self.name in self.control.status()["machines"]:
            self.control.halt(self.name)

    def reboot(self, lease: LeaseFacts) -> None:
        """Stop and boot again; the console goes on. What user data has done is not done again."""
        self.stop()
        self._boot(lease)

    def take_over(self, lease: LeaseFacts, *, is_first: bool) -> None:
        """Whoever started it was killed, and nobody knows how far it came: start it again.

        At its first boot nobody has seen anything of it yet, and it begins anew, with an empty disk.
        """
        if is_first:
            self.terminate()
            self.start(lease)
        else:
            self.reboot(lease)

    def terminate(self) -> None:
        """End it, running or stopped, and remove its disk. Its network namespace is the network's to remove."""
        self.stop()
        cgroups.remove_machine(self.control.folder.run_id, self.name)
        shutil.rmtree(self.control.folder.machine(self.name), ignore_errors=True)

    def _boot(self, lease: LeaseFacts) -> None:
        disk = self.control.folder.machine(self.name)
        told = disk / "lib" / boot.LEASE.relative_to("/var/lib")
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_text(lease.to_json())
        program = Path(boot.__file__).resolve()
        self.control.boot(self.name, self.netns, {}, has_own_root=True)
        argv = [sys.executable, str(program), "--console", str(_console(self.control.folder, self.name))]
        self.control.daemon("boot", self._in_group(argv), machine=self.name, may_end=True)

    def _in_group(self, argv: list[str]) -> list[str]:
        """In control groups of the machine's own: what it runs may make groups below, and they end with it."""
        run_id = self.control.folder.run_id
        try:
            cgroups.create(run_id, [self.name])
            return cgroups.joining(run_id, self.name, argv)
        except (EnvironmentFault, OSError):  # where a lab cannot be had, a network and its machines still can
            return argv


def _console(folder: LabFolder, name: str) -> Path:
    return folder.machine(name) / "console.log"
