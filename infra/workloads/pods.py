"""Pods that a row makes for itself: to restart, fill, break or delete them. The resident ones are never touched.

Each runs the resident prober, so it is a place like every other: probed from and to, by name. A pod that does not start
is an error of the harness with the pod's last condition, because no row that needs it can be judged then.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import HarnessError, UsageError
from kip_conformance.infra.judge.waits import WaitFailed, eventually
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.targets.protocol import Machine, Place, PodRef
from kip_conformance.infra.workloads.claims import Claim, claim_of
from kip_conformance.infra.workloads.conditions import is_ready, is_running, last_condition

__all__ = ["PodPlan", "Pods", "Sidecar", "prober_container"]

SOCKET = "/run/kip-prober.sock"
_PORTS = (8080, 8081)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One more container of a pod, with a prober of its own that listens on `ports`; a place by its name."""

    name: str
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PodPlan:
    """A pod to be made: its place's name and the machine that it is bound to.

    `container` is merged over the prober's container (a readiness probe, environment), `spec` over the pod's spec,
    `labels` over those that every such pod has: kip-conformance/place (the name). A hostNetwork pod gets free ports of
    its own; others listen on 8080 and 8081, each on TCP and UDP, unless `ports` says otherwise.
    """

    name: str
    machine: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = _PORTS
    is_host_network: bool = False
    container: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    sidecars: tuple[Sidecar, ...] = ()


class Pods:
    """Makes pods in one namespace and takes their places into a driver; all are gone at the end of the block.

    `image` is the prober's image; `budget` the seconds that a pod may take to start; `first_host_port` the first of a
    hundred ports that this process alone gives to hostNetwork pods. `nodes` are virtual nodes by the machine of a place
    on them: a pod that is to be on such a machine goes to its node, and gets a machine of its own.
    """

    def __init__(
        self,
        kubeconfig: Path,
        driver: Driver,
        machines: Mapping[str, Machine],
        *,
        namespace: str,
        labels: Mapping[str, str],
        image: str,
        budget: float,
        first_host_port: int,
        nodes: Mapping[str, str] | None = None,
    ) -> None:
        self._api = KubeApi(kubeconfig)
        self._driver = driver
        self._machines = machines
        self.namespace = namespace
        self._labels = dict(labels)
        self._image = image
        self._budget = budget
        self._nodes = dict(nodes or {})
        self._host_ports = itertools.cycle(range(first_host_port, first_host_port + 100))
        self._made: dict[str, Place] = {}
        self._sidecars: dict[str, tuple[Place, ...]] = {}
        self._proposed: list[PodRef] = []

    def __enter__(self) -> Pods:
        return self

    def __exit__(self, *_: object) -> None:
        for place in tuple(self._made.values()):
            self.delete(place)
        while self._proposed:
            pod = self._proposed.pop()
            self._api.delete("Pod", pod.name, pod.namespace, grace=0)

    def start(self, *plans: PodPlan, ready: bool = True) -> tuple[Place, ...]:
        """Make these pods together; returns their places, in order, once each runs, answers and (`ready`) is Ready.

        Raises HarnessError when one does not within the budget, UsageError for a name that is taken.
        """
        taken = {place.name for place in self._driver.places}
        for plan in plans:
            if plan.name in taken:
                raise UsageError(f"a place named {plan.name} exists already")
            taken.add(plan.name)
        ports = {plan.name: self._ports(plan) for plan in plans}
        for plan in plans:
            self._api.create(self._manifest(plan, ports[plan.name]))
        places = tuple(self._started(plan, ports[plan.name], ready=ready) for plan in plans)
        for place in places:
            self._made[place.name] = place
            self._driver.add(place)
            self._sidecars[place.name] = _sidecars(place, plans)
            for sidecar in self._sidecars[place.name]:
                self._driver.add(sidecar)
        self._open((*places, *(sidecar for place in places for sidecar in self._sidecars[place.name])))
        return places

    def propose(self, plan: PodPlan, *, is_scheduled: bool = False) -> PodRef:
        """Make a pod that may never run, and wait for nothing; it is no place. `is_scheduled`: by the scheduler.

        Raises ApiRefusal when the API server does not take it.
        """
        manifest = self._manifest(plan, self._ports(plan))
        if is_scheduled:
            manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": manifest["spec"].pop("nodeName")}
        made = self._api.create(manifest)
        reference = PodRef(self.namespace, plan.name, made["metadata"]["uid"])
        self._proposed.append(reference)
        return reference

    def claim(self, reference: PodRef) -> Claim:
        """How far a proposed pod has come, as its status and its events say. Raises HarnessError when it is gone."""
        return claim_of(self._api, reference)

    @property
    def image(self) -> str:
        """The prober's image, for further containers."""
        return self._image

    def sidecars(self, place: Place) -> tuple[Place, ...]:
        """The places of a pod's other containers, in the order of its plan."""
        return self._sidecars[place.name]

    def delete(self, place: Place, *, grace: int = 0) -> None:
        """Ask for the pod's deletion and forget its place; `grace` is seconds. Not waited for: see `wait_gone`."""
        self._made.pop(place.name, None)
        for each in (place, *self._sidecars.pop(place.name, ())):
            self._driver.remove(each)
        if place.pod is not None:
            self._api.delete("Pod", place.pod.name, place.pod.namespace, grace=grace)

    def label(self, place: Place, labels: Mapping[str, str]) -> None:
        """Put labels on a running pod: what selects them finds it from now on."""
        pod = _reference(place)
        self._api.patch("Pod", pod.name, {"metadata": {"labels": dict(labels)}}, pod.namespace)

    def wait_gone(self, place: Place, *, within: float = 30.0) -> None:
        """Until the API has no such pod any more. Raises HarnessError after `within` seconds."""
        if place.pod is None:
            return
        pod = place.pod
        try:
            eventually(lambda: self._api.find("Pod", pod.name, pod.namespace) is None, bool, within=within)
        except WaitFailed as error:
            raise HarnessError(f"pod {pod.namespace}/{pod.name} was not gone within {within:g} s") from error

    def restarted(self, place: Place, *, restarts: int) -> Place:
        """The place once its container has been restarted `restarts` times and answers again, with the podIP of now.

        Raises HarnessError when that takes longer than the budget.
        """
        reference = _reference(place)

        def count() -> int:
            statuses = self._pod(reference)["status"].get("containerStatuses", ())
            return sum(int(each["restartCount"]) for each in statuses if "running" in each["state"])

        try:
            eventually(count, lambda seen: seen >= restarts, within=self._budget)
        except WaitFailed as error:
            raise HarnessError(f"the container of {place.name} was not restarted: {error}") from error
        pod = self._pod(reference)
        address = str(pod["status"]["podIP"])
        sources = place.sources if place.kind == "hostnet" else (address,)
        again = replace(place, address=address, sources=sources)
        self._driver.remove(place)
        self._driver.add(again)
        self._made[place.name] = again
        self._open((again,))
        return again

    @contextmanager
    def one(self, plan: PodPlan, *, ready: bool = True) -> Iterator[Place]:
        """One pod for the length of the block."""
        (place,) = self.start(plan, ready=ready)
        try:
            yield place
        finally:
            self.delete(place)

    def _ports(self, plan: PodPlan) -> tuple[int, ...]:
        return tuple(next(self._host_ports) for _ in plan.ports) if plan.is_host_network else plan.ports

    def _manifest(self, plan: PodPlan, ports: Sequence[int]) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": plan.name,
                "namespace": self.namespace,
                "labels": {"kip-conformance/place": plan.name, **self._labels, **plan.labels},
                "annotations": dict(plan.annotations),
            },
            "spec": {
                "nodeName": self._nodes.get(plan.machine, plan.machine),
                "hostNetwork": plan.is_host_network,
                "terminationGracePeriodSeconds": 1,
                "enableServiceLinks": False,
                "automountServiceAccountToken": False,
                "tolerations": [{"operator": "Exists"}],
                "containers": [
                    {**prober_container(plan.name, self._image, ports), **plan.container},
                    *(
                        {**prober_container(each.name, self._image, each.ports), "name": each.name}
                        for each in plan.sidecars
                    ),
                ],
                **plan.spec,
            },
        }

    def _started(self, plan: PodPlan, ports: tuple[int, ...], *, ready: bool) -> Place:
        reference = PodRef(self.namespace, plan.name, "")
        done = is_ready if ready else is_running
        try:
            pod = eventually(lambda: self._pod(reference), done, within=self._budget)
        except WaitFailed as error:
            why = last_condition(error.last if isinstance(error.last, dict) else None)
            raise HarnessError(
                f"pod {self.namespace}/{plan.name} did not start within {self._budget:g} s: {why}"
            ) from error
        return self._place(plan.name, plan.is_host_network, plan.machine, ports, pod)

    def _place(
        self, name: str, is_host_network: bool, machine: str, ports: tuple[int, ...], pod: Mapping[str, Any]
    ) -> Place:
        address, node = str(pod["status"]["podIP"]), self._nodes.get(machine, "")
        shares_machine = is_host_network and not node
        return Place(
            name=name,
            kind="hostnet" if is_host_network else "pod",
            # On a virtual node every pod has a machine, which is nobody else's.
            machine=name if node else machine,
            address=address,
            sources=tuple(self._machines[machine].addresses) if shares_machine else (address,),
            ports=ports,
            socket=SOCKET,
            pod=PodRef(self.namespace, pod["metadata"]["name"], pod["metadata"]["uid"]),
            node=node,
        )

    def _pod(self, reference: PodRef) -> dict[str, Any]:
        pod = self._api.find("Pod", reference.name, reference.namespace)
        if pod is None:
            raise HarnessError(f"pod {reference.namespace}/{reference.name} was deleted by someone else")
        return pod

    def _open(self, places: Sequence[Place]) -> None:
        """A container runs a moment before its program listens."""

        def answer() -> HarnessError | None:
            try:
                self._driver.open(places)
            except HarnessError as error:
                return error
            return None

        try:
            eventually(answer, lambda error: error is None, within=10.0)
        except WaitFailed as error:
            raise HarnessError(str(error.last)) from error


def prober_container(name: str, image: str, ports: Sequence[int] = _PORTS) -> dict[str, Any]:
    """The container that makes a pod a place: a prober of this name, listening on these ports, TCP and UDP."""
    words = [word for port in ports for word in ("--port", str(port))]
    return {
        "name": "prober",
        "image": image,
        "args": ["serve", "--name", name, "--socket", SOCKET, *words],
        "ports": [{"containerPort": port, "protocol": protocol} for port in ports for protocol in ("TCP", "UDP")],
    }


def _sidecars(place: Place, plans: Sequence[PodPlan]) -> tuple[Place, ...]:
    reference = _reference(place)
    (plan,) = (plan for plan in plans if plan.name == place.name)
    return tuple(
        replace(place, name=each.name, ports=each.ports, pod=replace(reference, container=each.name))
        for each in plan.sidecars
    )


def _reference(place: Place) -> PodRef:
    if place.pod is None:
        raise UsageError(f"place {place.name} is no pod")
    return place.pod
