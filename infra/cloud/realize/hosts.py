"""The machines around the cloud: those of `Outside.machines` run, with their programs, as long as they are in it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kip_conformance.infra.cloud.outside import OutsideMachine
from kip_conformance.infra.fabric.names import machine_namespace
from kip_conformance.infra.lab.control import Control

__all__ = ["HostMachines"]


@dataclass(slots=True)
class HostMachines:
    """`memory` is the file that outlives the process: what was started, by name, as it was to be."""

    control: Control
    memory: Path
    _known: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.memory.exists():
            alive = self.control.status()["machines"]
            known = json.loads(self.memory.read_text())
            self._known = {name: one for name, one in known.items() if name in alive}

    def end(self, wanted: Iterable[OutsideMachine]) -> None:
        """Halt what is not wanted any more, or otherwise than before. Raises HarnessError."""
        kept = {one.name: _value(one) for one in wanted}
        for name in [name for name, one in self._known.items() if kept.get(name) != one]:
            if name in self.control.status()["machines"]:
                self.control.halt(name)
            if name not in kept:
                shutil.rmtree(self.control.folder.machine(name), ignore_errors=True)
            del self._known[name]
            self._remember()

    def begin(self, wanted: Iterable[OutsideMachine]) -> None:
        """Boot what is missing and start its programs; what a killed process began is ended first. HarnessError."""
        new = [one for one in wanted if one.name not in self._known]
        if not new:
            return
        alive = self.control.status()["machines"]
        for machine in new:
            if machine.name in alive:
                self.control.halt(machine.name)
            self.control.boot(machine.name, machine_namespace(machine.name), machine.files)
            for program in machine.programs:
                self.control.daemon(program.name, program.argv, machine=machine.name, again=program.again)
            self._known[machine.name] = _value(machine)
        self._remember()

    def _remember(self) -> None:
        passing = self.memory.with_suffix(".new")
        passing.write_text(json.dumps(self._known))
        os.replace(passing, self.memory)


def _value(machine: OutsideMachine) -> Any:
    """As the memory has it: of plain lists and mappings."""
    return json.loads(json.dumps(dataclasses.asdict(machine)))
