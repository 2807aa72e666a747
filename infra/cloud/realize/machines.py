"""The machines of instances: which of them run, and starting, ending and booting them as the API wants it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from kip_conformance.infra.cloud.api.realizer import Reported
from kip_conformance.infra.cloud.boot.machine import InstanceMachine
from kip_conformance.infra.cloud.facts import LeaseFacts
from kip_conformance.infra.cloud.network import machine_of
from kip_conformance.infra.cloud.view import Instance
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.names import machine_namespace
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.state import LabFolder

__all__ = ["Machines", "Report", "Running", "prepare_machine"]

_AT_ONCE = 4
_PREPARED = "prepared"


def prepare_machine(folder: LabFolder, name: str, files: Mapping[str, str]) -> None:
    """Before its instance is there: the machine `name` shares the host's files, but has these, and boots nothing."""
    path = folder.path / _PREPARED / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(dict(files)))


@dataclass(frozen=True, slots=True)
class _PreparedMachine:
    """A machine that others put their programs on, such as a kubelet node of the lab."""

    control: Control
    name: str
    netns: str
    files: Mapping[str, str]

    def start(self, _lease: LeaseFacts) -> None:
        self.control.boot(self.name, self.netns, self.files)

    def stop(self) -> None:
        self.control.halt(self.name)

    def reboot(self, lease: LeaseFacts) -> None:
        self.stop()
        self.start(lease)

    def take_over(self, _lease: LeaseFacts, *, is_first: bool) -> None:
        """It has its files from the start on, and others may have put programs on it: it stays as it is."""

    def terminate(self) -> None:
        if self.name in self.control.status()["machines"]:
            self.stop()


@dataclass(frozen=True, slots=True)
class Report:
    """What an instance has come to; `reason` says why it failed."""

    state: Reported
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """A machine that was started for an instance, and at which of its boots."""

    machine: str
    boots: int


@dataclass(slots=True)
class Machines:
    """Machines that this lab runs for instances. `memory` is the file that outlives the process."""

    control: Control
    memory: Path
    _known: dict[str, Running] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.memory.exists():
            self._known = {name: Running(**one) for name, one in json.loads(self.memory.read_text()).items()}
        alive = self.control.status()["machines"]
        # What the memory has and nobody runs was ended in between: it is started again.
        self._known = {name: one for name, one in self._known.items() if one.machine in alive}

    def end(self, instances: Mapping[str, Instance]) -> dict[str, Report]:
        """End what is stopping, shutting down or not there any more; returns what is to be reported."""
        wanted = {name: one for name, one in instances.items() if one.state in ("pending", "running")}
        reports: dict[str, Report] = {}
        for name, running in list(self._known.items()):
            if name in wanted:
                continue
            machine, instance = self._machine(running.machine), instances.get(name)
            if instance is not None and instance.state in ("stopping", "stopped"):
                machine.stop()
            else:
                machine.terminate()
            self._forget(name)
        for name, instance in instances.items():
            if instance.state == "stopping":
                reports[name] = Report("stopped")
            elif instance.state == "shutting-down":
                self._machine(machine_of(instance)).terminate()  # its disk, if it was stopped before
                reports[name] = Report("terminated")
        return reports

    def begin(self, instances: Mapping[str, Instance], lease: Callable[[Instance], LeaseFacts]) -> dict[str, Report]:
        """Start what should run and does not, boot again what should; returns what is to be reported."""
        todo = [
            one
            for one in instances.values()
            if one.state in ("pending", "running") and self._boots(one.id) != one.boots
        ]
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            done = list(pool.map(lambda one: self._start(one, lease), todo))
        self._remember()
        reports = {one.id: report for one, report in zip(todo, done, strict=True)}
        return {name: report for name, report in reports.items() if instances[name].state == "pending"}

    def instance_at(self, machine: str) -> str:
        """The id of the instance that this machine was started for; empty when it is nobody's."""
        return next((name for name, one in list(self._known.items()) if one.machine == machine), "")

    def fail(self, instances: Iterable[Instance], reason: str) -> dict[str, Report]:
        """What is to be reported when nothing can be started."""
        return {one.id: Report("failed", reason) for one in instances if one.state == "pending"}

    def _start(self, instance: Instance, lease: Callable[[Instance], LeaseFacts]) -> Report:
        machine = self._machine(machine_of(instance))
        try:
            if instance.id in self._known:
                machine.reboot(lease(instance))
            elif machine.name in self.control.status()["machines"]:
                machine.take_over(lease(instance), is_first=instance.state == "pending" and instance.boots <= 1)
            else:
                machine.start(lease(instance))
        except HarnessError as error:
            return Report("failed", str(error))
        self._known[instance.id] = Running(machine.name, instance.boots)
        return Report("running")

    def _boots(self, name: str) -> int:
        return self._known[name].boots if name in self._known else -1

    def _machine(self, name: str) -> InstanceMachine | _PreparedMachine:
        prepared, netns = self.control.folder.path / _PREPARED / f"{name}.json", machine_namespace(name)
        if prepared.exists():
            return _PreparedMachine(self.control, name, netns, json.loads(prepared.read_text()))
        return InstanceMachine(self.control, name, netns)

    def _forget(self, name: str) -> None:
        del self._known[name]
        self._remember()

    def _remember(self) -> None:
        value = {name: {"machine": one.machine, "boots": one.boots} for name, one in self._known.items()}
        passing = self.memory.with_suffix(".new")
        passing.write_text(json.dumps(value))
        os.replace(passing, self.memory)
