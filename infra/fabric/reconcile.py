"""Make the namespaces be what a NetworkState says, by the least number of commands.

`reconcile` is the only code that sets routes and rules of the network (faults aside). A reconciliation that did not
end, whatever ended it, is made good by the next one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.compile import compile_state
from kip_conformance.infra.fabric.config import Compiled
from kip_conformance.infra.fabric.difference import changes
from kip_conformance.infra.fabric.memory import Memory
from kip_conformance.infra.fabric.state import NetworkState
from kip_conformance.infra.targets.protocol import Completed

__all__ = ["Executor", "Fabric", "reconcile"]

_CREW = (sys.executable, "-m", "kip_conformance.infra.fabric.crew")
_PATIENCE = 300.0
"""Seconds; hundreds of machines from nothing on a busy system."""


class Executor(Protocol):
    """Where commands run: the lab's supervisor (infra/lab/control.py)."""

    def run(
        self, argv: Sequence[str], *, netns: str | None = None, stdin: bytes = b"", timeout: float = 30.0
    ) -> Completed: ...


class Fabric:
    """The network of one lab: an executor and what was applied so far, persisted in the file `memory`.

    Several processes may have one each: they wait for each other and go on where the last one stopped.
    """

    def __init__(self, executor: Executor, memory: Path) -> None:
        self.executor = executor
        self.memory = memory
        self.files = Memory(memory)

    @property
    def applied(self) -> Compiled:
        """What the namespaces hold, as far as this library set it. Raises HarnessError when the file is damaged."""
        return self.files.applied()


def reconcile(fabric: Fabric, state: NetworkState) -> int:
    """Apply the difference between `state` and what was applied before; returns the number of lines changed.

    Raises ValueError for a state that contradicts itself (nothing is changed), HarnessError when a command fails.
    """
    with fabric.files.alone():
        applied = fabric.applied
        wanted = compile_state(state, applied.numbers)
        change = changes(applied, wanted, fabric.files.intended())
        if change.steps:
            fabric.files.intend(change.touched)
            _work(fabric.executor, change.steps)
        if change.steps or wanted != applied:
            fabric.files.remember(wanted)
        return change.lines


def _work(executor: Executor, steps: Sequence[object]) -> None:
    done = executor.run(_CREW, stdin=json.dumps(steps).encode(), timeout=_PATIENCE)
    if done.returncode == 0:
        return
    try:
        refused = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise HarnessError(f"network: the crew ended with {done.returncode}: {said[-1] if said else ''}") from None
    raise HarnessError(f"network {refused['where']}: {refused['why']}\n{refused['what']}")
