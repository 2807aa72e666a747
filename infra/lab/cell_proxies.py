"""The kube-proxies on the cells of a lab: another mode for those that run and for those to come, and a pause.

A cell's proxy is its agent's (infra/cell/service_proxy.py): it is told by the agent's own files on the cell's machine.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kip_conformance.infra.cell.paths import RUN
from kip_conformance.infra.lab.machine import LabMachine
from kip_conformance.infra.machines.commands import run_checked

__all__ = ["CellProxies"]

_SETTINGS, _CONFIG, _PID = "/var/lib/cell/settings.json", f"{RUN}/kube-proxy.json", f"{RUN}/kube-proxy.pid"


@dataclass(frozen=True, slots=True)
class CellProxies:
    """`machines` are those of the cells that are places, by place."""

    machines: Mapping[str, LabMachine]

    def switch(self, mode: str) -> None:
        """End each proxy; its agent starts the next one in `mode`. Not waited for. Raises HarnessError."""
        for machine in self.machines.values():
            # The agent's settings too: an agent that starts again begins with them.
            for path, key in ((_SETTINGS, "proxy_mode"), (_CONFIG, "mode")):
                told = {**json.loads(machine.read(path)), key: mode}
                write = f"umask 077; cat > {path}.new && mv {path}.new {path}"
                run_checked(machine, ["sh", "-c", write], stdin=json.dumps(told).encode())
            self._signal(machine, "KILL")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """No proxy does anything for the length of the block: they are stopped where they are. Raises HarnessError."""
        try:
            for machine in self.machines.values():
                self._signal(machine, "STOP")
            yield
        finally:
            for machine in self.machines.values():
                self._signal(machine, "CONT")

    @staticmethod
    def _signal(machine: LabMachine, name: str) -> None:
        run_checked(machine, ["sh", "-c", f'kill -{name} "$(cat {_PID})"'])
