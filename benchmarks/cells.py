"""Cells as their users wait for them: a pod from its creation to Running, twenty at once, a lab with four, and memory.

The images are on the cells' machine image; a cell is an instance that boots, gets the agent, and starts a container.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi, object_path
from kip_conformance.infra.lab.residents import NAMESPACE, prober_pod
from kip_conformance.infra.targets.lab import LabCluster, LabTarget
from kip_conformance.infra.targets.options import TargetOptions
from kip_conformance.infra.targets.plan import FOUNDATION, PlannedPlace, planned_places
from kip_conformance.infra.workloads.conditions import is_running, last_condition

from benchmarks.memory import below, pss_of, supervisor_of
from benchmarks.session import Session, new_run

__all__ = ["ABOUT", "NEEDS_ROOT", "run", "shares"]

ABOUT = "a pod on a cell from its creation to Running, twenty at once, a lab with four cells, and memory"
NEEDS_ROOT = True

_AT_ONCE = 20
_PATIENCE = 120.0
_FOURTH = PlannedPlace("cell-c", "pod", "cell-c", "kip-node")


def run(session: Session) -> None:
    """Adds the figures of every round: labs come up and go in the first half, pods come and go in one lab after."""
    figures = session.figures
    names = ("cell-a", "cell-b", "cell-private")
    for _ in session.each_round("cells, a lab with four"):
        began = time.monotonic()
        with _lab((*planned_places(names), _FOURTH)):
            figures.add(
                "lab with 2 nodes and 4 cells: nothing to all answering", time.monotonic() - began, "s", target=20
            )
    with _lab((*FOUNDATION, *(one for one in planned_places(names) if one.name == "cell-a"))) as cluster:
        pods = _Cells(cluster)
        for _ in session.each_round("cells, one and twenty"):
            figures.add("cell: creation of a pod to Running", pods.start(1), "s", target=2)
            pods.end()
            figures.add(f"cell: creation of {_AT_ONCE} pods to the last Running", pods.start(_AT_ONCE), "s", target=20)
            for what, size in pods.memory().items():
                target = 25 if what == "agent and provider" else None
                figures.add(f"cell, one of {_AT_ONCE + 1}: memory, {what}", size, "MiB", target=target)
            pods.end()


@contextlib.contextmanager
def _lab(places: Sequence[PlannedPlace]) -> Iterator[LabCluster]:
    target = LabTarget(TargetOptions(new_run(), places=tuple(places)))
    cluster = target.up(lambda _line: None)
    try:
        yield cluster
    finally:
        target.down(cluster.description)


@dataclass
class _Cells:
    """Pods on the lab's virtual node, all of them ours."""

    cluster: LabCluster

    def __post_init__(self) -> None:
        self.api = KubeApi(Path(self.cluster.description.kubeconfig))
        resident = self.api.get(object_path("Pod", "node-a", NAMESPACE))
        self.digest: str = resident["spec"]["containers"][0]["image"].partition("@")[2]
        self.names: list[str] = []

    def start(self, number: int) -> float:
        """Seconds from the first creation until all of them run, as the API tells it. Raises HarnessError."""
        self.names = [f"bench-{place}" for place in range(number)]
        began = time.monotonic()
        for name in self.names:
            place = PlannedPlace(name, "pod", name, "kip-node")
            self.api.create(prober_pod(place, self.cluster.description.run_id, self.digest))
        _until(self._late, "pods do not run")
        return time.monotonic() - began

    def end(self) -> None:
        """Until their objects are gone, and their instances with them. Raises HarnessError."""
        for name in self.names:
            self.api.delete("Pod", name, NAMESPACE)
        _until(lambda: ", ".join(sorted({*self.names} & {*self._pods()})), "pods are left")
        # An instance that still shuts down is work for the next figure.
        _until(lambda: "" if len(self._agents()) <= 1 else "agents still run", "instances are left")

    def memory(self) -> dict[str, float]:
        """MiB a cell; that of the provider's process is shared by all of its cells."""
        return shares(self._processes(), len(self._agents()))

    def _late(self) -> str:
        pods = self._pods()
        late = [name for name in self.names if not is_running(pods.get(name))]
        return f"{late[0]}: {last_condition(pods.get(late[0]))}" if late else ""

    def _pods(self) -> dict[str, Any]:
        return {pod["metadata"]["name"]: pod for pod in self.api.list("Pod", NAMESPACE)}

    def _agents(self) -> list[str]:
        return [line for line, _ in self._processes(measured=False) if line.endswith("settings.json agent")]

    def _processes(self, *, measured: bool = True) -> list[tuple[str, float]]:
        """Command lines of the lab, and MiB of each."""
        found = []
        for pid in below(supervisor_of(Path(self.cluster.description.state))):
            with contextlib.suppress(OSError):
                line = Path("/proc", str(pid), "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
                found.append((line.decode(errors="replace"), pss_of(pid) if measured else 0.0))
        return found


def shares(processes: Sequence[tuple[str, float]], cells: int) -> dict[str, float]:
    """What each of so many cells has of these processes: (command line, MiB). Pods' own are nobody's.

    Raises HarnessError without cells.
    """
    if not cells:
        raise HarnessError("no agent runs: whose memory is this?")
    sums = {"agent and provider": 0.0, "kube-proxy": 0.0}
    for line, size in processes:
        if "/var/lib/cell/settings.json" in line or "infra.provider --config" in line:
            sums["agent and provider"] += size
        elif "--config=/run/cell/kube-proxy.json" in line:
            sums["kube-proxy"] += size
    return {what: size / cells for what, size in sums.items()}


def _until(problem: Any, otherwise: str) -> None:
    """Until `problem` is empty. Raises HarnessError with what it says when that takes too long."""
    deadline = time.monotonic() + _PATIENCE
    while said := problem():
        if time.monotonic() > deadline:
            raise HarnessError(f"{otherwise} after {_PATIENCE:g} s: {said}")
        time.sleep(0.02)
