"""What benchmarks share: the figures, a lab, and nine pods with probers in it, each made when first asked for.

Everything made here ends with the session, and the lab with this process, however that ends.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi, object_path
from kip_conformance.infra.lab.plan import NODES
from kip_conformance.infra.lab.residents import NAMESPACE, PORTS, PROBER_SOCKET, prober_pod
from kip_conformance.infra.lab.state import description_path
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.targets.lab import LabCluster, LabTarget
from kip_conformance.infra.targets.options import TargetOptions
from kip_conformance.infra.targets.plan import PlannedPlace
from kip_conformance.infra.targets.protocol import ClusterDescription, Place, PodRef
from kip_conformance.infra.workloads.conditions import last_condition
from kip_conformance.infra.workloads.namespaces import temporary_namespace

from benchmarks.figures import Figures

__all__ = ["PODS", "Session", "new_run"]

PODS = 9
_START = 60.0  # seconds for the pods to start


def new_run() -> str:
    """A name for a lab of our own."""
    return f"bench-{secrets.token_hex(4)}"


@dataclass
class Session:
    """One run of the benchmarks. `attach` names a kept lab to use instead of one of our own."""

    figures: Figures
    rounds: int
    attach: str = ""
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def each_round(self, what: str) -> Iterator[int]:
        """The numbers of the rounds, each announced."""
        for number in range(1, self.rounds + 1):
            self.figures.next_round(number, self.rounds, what)
            yield number

    @cached_property
    def cluster(self) -> LabCluster:
        """The lab that matrices are measured in."""
        if self.attach:
            path = description_path(self.attach)
            if not path.exists():
                raise HarnessError(f"there is no lab {self.attach}: `kip-conformance status` lists them")
            return LabTarget(TargetOptions(self.attach)).attach(ClusterDescription.from_json(path.read_text()))
        target = LabTarget(TargetOptions(new_run()))
        cluster = target.up(lambda line: print(f"  {line}", file=sys.stderr))
        self.stack.callback(target.down, cluster.description)
        return cluster

    @cached_property
    def pods(self) -> tuple[Place, ...]:
        """Nine pods of our own, in a namespace of our own, over both nodes; their probers answer."""
        cluster = self.cluster
        api = KubeApi(Path(cluster.description.kubeconfig))
        namespace = self.stack.enter_context(temporary_namespace(api.kubeconfig, new_run(), labels={}))
        resident = api.get(object_path("Pod", cluster.places[0].name, NAMESPACE))
        digest = resident["spec"]["containers"][0]["image"].partition("@")[2]
        planned = [
            PlannedPlace(f"pod{number}", "pod", NODES[number % len(NODES)].name) for number in range(1, PODS + 1)
        ]
        deadline = time.monotonic() + _START
        while api.find("ServiceAccount", "default", namespace) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        for place in planned:
            manifest = prober_pod(place, cluster.description.run_id, digest)
            manifest["metadata"]["namespace"] = namespace
            api.create(manifest)
        places = []
        for place in planned:
            while not _has_started(pod := api.find("Pod", place.name, namespace)):
                if time.monotonic() > deadline:
                    raise HarnessError(f"pod {place.name} did not start within {_START:g} s: {last_condition(pod)}")
                time.sleep(0.05)
            places.append(_place(place, pod))
        _wait_answers(self.cluster, places, deadline)
        return tuple(places)

    def driver(self) -> Driver:
        """A new driver of the nine pods alone, no channel open yet."""
        return _driver(self.cluster, self.pods)


def _has_started(pod: dict[str, Any] | None) -> bool:
    status = (pod or {}).get("status", {})
    return bool(status.get("podIP")) and all(
        "running" in container["state"] for container in status.get("containerStatuses") or ()
    )


def _place(planned: PlannedPlace, pod: dict[str, Any] | None) -> Place:
    assert pod is not None
    address, metadata = pod["status"]["podIP"], pod["metadata"]
    reference = PodRef(metadata["namespace"], metadata["name"], metadata["uid"])
    return Place(planned.name, "pod", planned.machine, address, (address,), PORTS["pod"], PROBER_SOCKET, reference)


def _driver(cluster: LabCluster, places: list[Place] | tuple[Place, ...]) -> Driver:
    return Driver(places, cluster.machines, Path(cluster.description.kubeconfig), worker="bench")


def _wait_answers(cluster: LabCluster, places: list[Place], deadline: float) -> None:
    """Until every prober answers; a container runs a moment before its program listens."""
    with _driver(cluster, places) as driver:
        while True:
            try:
                driver.open()
                return
            except HarnessError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)
