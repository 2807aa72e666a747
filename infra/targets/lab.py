"""The lab target: real Kubernetes components in network namespaces of this machine, in seconds, without any cloud."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kip_conformance.infra.cloud.client import CloudClient
from kip_conformance.infra.cloud.network import network_of
from kip_conformance.infra.cloud.outside import read_outside
from kip_conformance.infra.cloud.start import client_environment, ec2_client
from kip_conformance.infra.errors import HarnessError, UsageError
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.kube import KubeApi, object_path
from kip_conformance.infra.lab import cgroups, doctor
from kip_conformance.infra.lab.around import around_details
from kip_conformance.infra.lab.attempts import Attempts
from kip_conformance.infra.lab.binaries.packages import unpacked_binary
from kip_conformance.infra.lab.binaries.provide import Toolset, provide
from kip_conformance.infra.lab.bring_up import Parts, Timed, bring_up, machines_of, nodes_of
from kip_conformance.infra.lab.cells import (
    Cell,
    find_cells,
    provider_settings,
    providers_stopped,
    providers_told,
)
from kip_conformance.infra.lab.census import host_network, take_census
from kip_conformance.infra.lab.cni_folder import CniFolder
from kip_conformance.infra.lab.control import Control, start_supervisor
from kip_conformance.infra.lab.control_plane import API_PORT, REGISTRY
from kip_conformance.infra.lab.disruption import cut_off
from kip_conformance.infra.lab.images import provide_images
from kip_conformance.infra.lab.network import points_between
from kip_conformance.infra.lab.node import NodeFiles
from kip_conformance.infra.lab.outside_provider import LabOutsideProvider
from kip_conformance.infra.lab.plan import CONTROL_PLANE, ON_PREM_GATEWAY, PLAN
from kip_conformance.infra.lab.residents import CANARY, NAMESPACE, wait_places
from kip_conformance.infra.lab.service_proxy import MODES, ServiceProxy
from kip_conformance.infra.lab.state import LabFolder
from kip_conformance.infra.probe.driver import Driver, ProbeTarget
from kip_conformance.infra.targets.lab_features import declared
from kip_conformance.infra.targets.options import TargetOptions
from kip_conformance.infra.targets.protocol import (
    ClusterDescription,
    Component,
    Machine,
    NetworkPoint,
    Place,
    Progress,
)
from kip_conformance.infra.workloads.conditions import unrest

__all__ = ["LabCluster", "LabTarget", "create"]

_UNREST = 60.0  # seconds: longer than any row takes

_PROVIDERS_BACK = 30.0
"""Seconds until a provider that was started again lets its pods be spoken to."""


class LabCluster:
    """A running lab; see Cluster in infra/targets/protocol.py."""

    def __init__(self, description: ClusterDescription) -> None:
        self.description = description
        self.control = Control(LabFolder(Path(description.state)))
        self._nodes = nodes_of(description.places)
        known = {place: Cell(**cell) for place, cell in description.details.get("cells", {}).items()}
        self._machines = machines_of(self.control, self._nodes, known)
        files = [NodeFiles(self.control.folder, node, PLAN) for node in self._nodes]
        of_nodes = {node.name: self._machines[node.name] for node in self._nodes}
        of_cells = {name: self._machines[name] for name in known}
        self.proxy = ServiceProxy(self.control, Path(description.details["kube-proxy"]), files, of_nodes, of_cells)

    @property
    def machines(self) -> Mapping[str, Machine]:
        return self._machines

    @property
    def places(self) -> Sequence[Place]:
        return self.description.places

    @property
    def service_proxy(self) -> str:
        return self.proxy.mode()

    def set_service_proxy(self, mode: str) -> None:
        self.proxy.switch(mode)
        self.wait_canary()

    @contextlib.contextmanager
    def stopped(self, component: Component) -> Iterator[None]:
        """Proxies and providers really end.

        The API server goes on, out of its nodes' reach, so that probers can be spoken to.
        """
        if component == "service-proxy":
            with self.proxy.stopped():
                yield
            return
        if component == "provider":
            with providers_stopped(self.control):
                yield
            self.wait_probers(within=_PROVIDERS_BACK)
            return
        with contextlib.ExitStack() as stack:
            for name in (*(node.name for node in self._nodes), *self.proxy.cells.machines):
                stack.enter_context(cut_off(self.machines[name], CONTROL_PLANE.address, API_PORT))
            yield

    def provider_settings(self) -> Mapping[str, Any]:
        return provider_settings(self.control)

    @contextlib.contextmanager
    def providers_told(self, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        with providers_told(self.control, change):
            self.wait_probers(within=_PROVIDERS_BACK)
            yield
        self.wait_probers(within=_PROVIDERS_BACK)

    def provider_outside(self) -> LabOutsideProvider:
        api = KubeApi(Path(self.description.kubeconfig))
        return LabOutsideProvider(self.control, api, ec2_client(str(self.description.details["cloud-api"])))

    def wait_probers(self, *, within: float) -> None:
        """Until the prober of every place answers; a container runs a moment before its program listens."""
        attempts = Attempts(within=within)
        with self.driver() as driver:
            while True:
                try:
                    driver.open()
                    return
                except HarnessError:
                    self.check_components()
                    if attempts.over():
                        raise
                attempts.pause()

    def wait_canary(self, *, within: float = 20.0) -> None:
        """Until a Service answers from every node and from a pod on each: the proxies' rules are in force."""
        address = KubeApi(Path(self.description.kubeconfig)).get(object_path("Service", CANARY, NAMESPACE))["spec"]
        pods = tuple(place.name for place in self.places if place.kind == "pod")
        target = ProbeTarget(CANARY, address["clusterIP"], 80, "tcp", pods)
        clients = [place for place in self.places if place.kind in ("host", "pod")]
        with self.driver() as driver:
            try:
                eventually(
                    lambda: driver.all(clients, [target], "tcp"),
                    lambda grid: all(observation.is_open for observation in grid.values()),
                    within=within,
                )
            except AssertionError as error:
                raise HarnessError(f"the canary Service does not answer everywhere: {error}") from error

    def driver(self, *, worker: str = "target") -> Driver:
        return Driver(self.places, self.machines, Path(self.description.kubeconfig), worker=worker)

    def check_components(self) -> None:
        self.control.check_daemons()

    def check_residents(self) -> None:
        pods = {
            pod["metadata"]["name"]: pod for pod in KubeApi(Path(self.description.kubeconfig)).list("Pod", NAMESPACE)
        }
        since = datetime.now(UTC) - timedelta(seconds=_UNREST)
        for place in self.places:
            if place.pod and (why := unrest(pods.get(place.pod.name), place.pod.uid, since=since)):
                raise HarnessError(f"the resident pod of place {place.name} {why}")

    def network_between(self, client: str, server: str) -> Sequence[NetworkPoint]:
        view = CloudClient(str(self.description.details["cloud-api"])).view()
        return points_between(self.control, network_of(view, read_outside(self.control.folder)), client, server)


class LabTarget:
    """Stands labs up and takes them down; see Target in infra/targets/protocol.py."""

    name = "lab"
    modes = MODES

    def __init__(self, options: TargetOptions) -> None:
        self.options = options
        unknown = [mode for mode in options.modes if mode not in MODES]
        if unknown:
            raise UsageError(f"service proxy mode {unknown[0]!r}: the lab runs {', '.join(MODES)}")
        self.cni = CniFolder.find(options.cni)
        self._lifeline: int | None = None

    def up(self, progress: Progress) -> LabCluster:
        """Stand a lab up. It ends with this process, unless it is kept. Raises KipError; nothing is then left."""
        say = Timed(progress)
        doctor.preflight()
        folder = LabFolder.of(self.options.run_id)
        folder.require_room_for_sockets()
        tools = provide(self.options.kubernetes_version, progress)
        registry = unpacked_binary("docker-registry", "docker-registry", progress)
        images = provide_images(tools, progress)
        if folder.path.exists():
            raise UsageError(f"run {folder.run_id} exists already: `kip-conformance clean --run {folder.run_id}` first")
        folder.path.mkdir(parents=True, mode=0o755)
        try:
            with doctor.disk_errors_explained(folder.path):
                control, self._lifeline = start_supervisor(folder)
                start = self.options.profile.start
                parts = Parts(tools, registry, images, self.cni, self.options.modes[0], self.options.places, start)
                api, cloud = bring_up(control, parts, say)
                places = wait_places(api, control, self.options.places, within=start)
                description = self._description(folder, tools, images.digests["prober"], places, cloud)
                folder.description.write_text(description.to_json())
                cluster = LabCluster(description)
                cluster.wait_probers(within=start)
                cluster.wait_canary(within=start)
                say(f"{len(places)} places answer")
        except BaseException:
            self._abandon(folder)
            raise
        return cluster

    def _description(
        self, folder: LabFolder, tools: Toolset, prober_digest: str, places: Sequence[Place], cloud: str
    ) -> ClusterDescription:
        return ClusterDescription(
            run_id=folder.run_id,
            target=self.name,
            state=str(folder.path),
            kubeconfig=str(folder.kubeconfig),
            places=tuple(places),
            modes=self.options.modes,
            features=declared(places),
            versions={**tools.versions, "kernel": os.uname().release, "cni": self.cni.name},
            details={
                **around_details(),
                "kube-proxy": str(tools["kube-proxy"]),
                "kubectl": str(tools["kubectl"]),
                "kubernetes": tools.versions["kubernetes"],
                "prober-image": f"{REGISTRY}/prober@{prober_digest}",
                "domain": PLAN.domain,
                "cloud-api": cloud,
                "site-gateway": ON_PREM_GATEWAY.name,
                "cells": {place: asdict(cell) for place, cell in self._cells(places, cloud).items()},
                "plan": {
                    "vpc": [PLAN.vpc, PLAN.secondary],
                    "peer": PLAN.peer,
                    "on-prem": PLAN.on_prem,
                    "pods": [PLAN.pods, PLAN.on_prem_pods],
                    "services": PLAN.services,
                },
            },
        )

    def _cells(self, places: Sequence[Place], cloud: str) -> dict[str, Cell]:
        """The instances of the places on virtual nodes."""
        virtual = {place.name for place in self.options.places if place.node}
        addresses = {place.name: place.address for place in places if place.name in virtual}
        return find_cells(ec2_client(cloud), addresses) if addresses else {}

    def attach(self, description: ClusterDescription) -> LabCluster:
        """Use a lab that another process stood up. Raises HarnessError when it, or a component of it, is dead."""
        control = Control(LabFolder(Path(description.state)))
        if not control.is_alive():
            raise HarnessError(
                f"lab {description.run_id} is dead: `kip-conformance clean --run {description.run_id}`, then start one"
            )
        cluster = LabCluster(description)
        cluster.check_components()
        return cluster

    def keep(self, description: ClusterDescription) -> Sequence[str]:
        """Let the lab outlive this process. Returns the commands that use it and that clean it up."""
        Control(LabFolder(Path(description.state))).keep()
        kubectl = description.details["kubectl"]
        return (
            f"{kubectl} --kubeconfig {description.kubeconfig} get pods -A -o wide",
            f"export {' '.join(client_environment(description.details['cloud-api']))}",
            f"pytest suites --attach {description.run_id}",
            f"kip-conformance clean --run {description.run_id}",
        )

    def down(self, description: ClusterDescription) -> None:
        """Take a lab down, whatever is left of it; returns when processes, groups and files are gone."""
        remove_lab(LabFolder(Path(description.state)))
        self._close_lifeline()

    def up_and_down(self, progress: Progress) -> Sequence[str]:
        """Everything that a lab is, from nothing to nothing; see CountsTraces in infra/targets/protocol.py."""
        host = host_network()
        cluster = self.up(progress)
        try:
            census = take_census(LabFolder(Path(cluster.description.state)), host)
        finally:
            self.down(cluster.description)
        with contextlib.closing(census):
            return census.left()

    def _abandon(self, folder: LabFolder) -> None:
        with contextlib.suppress(HarnessError):
            remove_lab(folder)
        self._close_lifeline()

    def _close_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def remove_lab(folder: LabFolder, *, within: float = 30.0) -> None:
    """Remove a lab: by its supervisor if that lives, else by hand. Raises HarnessError if something stays."""
    import shutil

    control = Control(folder)
    if control.is_alive():
        control.stop(within=within)
    deadline = time.monotonic() + within
    while folder.path.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder.path, ignore_errors=True)
    left = [str(path) for path in cgroups.remove(folder.run_id)]
    left += [str(folder.path)] if folder.path.exists() else []
    if left:
        raise HarnessError(f"lab {folder.run_id}: could not remove {', '.join(left)}")
    with contextlib.suppress(OSError):
        folder.path.parent.rmdir()


def create(options: TargetOptions) -> LabTarget:
    """Raises UsageError for an unknown CNI or proxy mode."""
    return LabTarget(options)
