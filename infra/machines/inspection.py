"""A machine of the cluster as testinfra sees one: `host_of(machine)`, for whoever looks at interfaces, sysctls, files.

Everything goes through Machine.run, so it works wherever a machine is. Nothing is registered with testinfra itself.
"""

from __future__ import annotations

from typing import Any

import testinfra.host
from kip_conformance.infra.targets.protocol import Machine
from testinfra.backend.base import BaseBackend, CommandResult

__all__ = ["MachineBackend", "host_of"]


class MachineBackend(BaseBackend):  # type: ignore[misc]  # testinfra has no types
    """testinfra's way to a machine. `timeout` bounds each command, in seconds."""

    NAME = "machine"

    def __init__(self, machine: Machine, *, timeout: float = 30.0) -> None:
        super().__init__(machine.name)
        self._machine = machine
        self._timeout = timeout

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Run a shell command. Raises HarnessError when it cannot be started or exceeds the time."""
        line = self.get_command(command, *args)
        done = self._machine.run(["sh", "-c", line], timeout=self._timeout)
        return self.result(done.returncode, line.encode(), done.stdout, done.stderr)

    def get_encoding(self) -> str:
        return "UTF-8"


def host_of(machine: Machine, *, timeout: float = 30.0) -> testinfra.host.Host:
    """The machine, with all of testinfra's modules. Each command may take `timeout` seconds."""
    backend = MachineBackend(machine, timeout=timeout)
    host = testinfra.host.Host(backend)
    backend.set_host(host)
    return host
