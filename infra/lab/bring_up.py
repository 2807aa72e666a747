"""From nothing to a cluster whose places answer: the order of things, and which of them go on at the same time.

What the programs are and how they are configured: control_plane.py, node.py, residents.py.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.cloud.outside import Outside
from kip_conformance.infra.cloud.realize.machines import prepare_machine
from kip_conformance.infra.cloud.region.world import WEB, WEB_MACHINE, PublicImages
from kip_conformance.infra.cloud.start import ec2_client, region_world, start_cloud
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.names import machine_namespace
from kip_conformance.infra.kube import ApiRefusal, KubeApi
from kip_conformance.infra.lab import cgroups, control_plane
from kip_conformance.infra.lab.attempts import Attempts
from kip_conformance.infra.lab.binaries.provide import Toolset
from kip_conformance.infra.lab.cells import Cell, cell_manifests, lacks_account, offer_agent, providers_of, start_cells
from kip_conformance.infra.lab.cni_folder import CniFolder
from kip_conformance.infra.lab.control import BASE_ENVIRONMENT, Control
from kip_conformance.infra.lab.images import Images
from kip_conformance.infra.lab.interconnect import connect_peer, connect_site
from kip_conformance.infra.lab.machine import LabMachine
from kip_conformance.infra.lab.node import NodeFiles
from kip_conformance.infra.lab.plan import (
    CONTROL_PLANE,
    NODES,
    ON_PREM_GATEWAY,
    ON_PREM_HOST,
    ON_PREM_NODE,
    PLAN,
    LabPlan,
    NodePlan,
    SiteHost,
)
from kip_conformance.infra.lab.residents import (
    NAMESPACE,
    canary_service,
    prober_command,
    prober_pod,
    start_host_probers,
    system_manifests,
)
from kip_conformance.infra.lab.service_proxy import ServiceProxy
from kip_conformance.infra.lab.site import SITE, SITE_LABEL, join_pods, with_site
from kip_conformance.infra.lab.state import LabFolder
from kip_conformance.infra.lab.vpc import LabVpc, make_vpc, wait_running
from kip_conformance.infra.lab.ways_out import make_ways_out
from kip_conformance.infra.targets.plan import PlannedPlace
from kip_conformance.infra.targets.protocol import Place, Progress

__all__ = ["Parts", "Timed", "bring_up", "machines_of", "nodes_of"]


class Timed:
    """Progress lines with the seconds since the start."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._start = time.monotonic()

    def __call__(self, line: str) -> None:
        self._progress(f"{time.monotonic() - self._start:5.1f} s  {line}")

    @contextlib.contextmanager
    def step(self, line: str) -> Iterator[None]:
        """Say `line` when the block is done."""
        yield
        self(line)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a lab is made of: programs, images, CNI, and what will be judged in it."""

    tools: Toolset
    registry: Path
    images: Images
    cni: CniFolder
    mode: str
    places: Sequence[PlannedPlace]
    start_budget: float
    plan: LabPlan = PLAN


def nodes_of(places: Iterable[PlannedPlace | Place]) -> tuple[NodePlan, ...]:
    """The kubelet nodes of a lab with these places: those in the VPC, and the site's when a place is on it."""
    has_site_node = any(place.machine == ON_PREM_NODE.name for place in places)
    return (*NODES, ON_PREM_NODE) if has_site_node else NODES


def machines_of(
    control: Control, nodes: Iterable[NodePlan] = NODES, cells: Mapping[str, Cell] | None = None
) -> dict[str, LabMachine]:
    """Every machine of a lab with these nodes, by name; a cell's has the name of its place."""
    every: tuple[NodePlan | SiteHost, ...] = (CONTROL_PLANE, *nodes, ON_PREM_GATEWAY, ON_PREM_HOST)
    machines = {one.name: LabMachine(one.name, (one.address,), control) for one in every}
    machines[WEB_MACHINE] = LabMachine(WEB_MACHINE, (WEB,), control)
    for place, cell in (cells or {}).items():
        machines[place] = LabMachine(place, (cell.address,), control, known_as=cell.instance)
    return machines


def bring_up(control: Control, parts: Parts, say: Timed) -> tuple[KubeApi, str]:
    """Stand the whole lab up on a running supervisor; returns the operator's API client, and the cloud API's URL.

    Raises HarnessError with the first component that did not come up and the last line of its log.
    """
    folder, plan = control.folder, parts.plan
    patience = max(60.0, parts.start_budget)
    planned, providers = nodes_of(parts.places), providers_of(parts.places)
    nodes = [NodeFiles(folder, node, plan) for node in planned]
    control_plane.make_pki(folder, plan, planned)
    cgroups.create(folder.run_id, [node.name for node in planned])
    with ThreadPoolExecutor(max_workers=4) as pool:
        with say.step("cloud: VPC, network interfaces, an instance for each machine"):
            cloud = start_cloud(control, _prepare(control.folder, nodes, parts))
            ec2 = ec2_client(cloud)
            vpc = make_vpc(ec2, plan)
            # The nodes do not need the rest: it comes while they start.
            connected = pool.submit(_connect, ec2, plan, vpc)
            wait_running(control, ec2, vpc.instances, within=patience)
        machines = machines_of(control, planned)
        _start_control_plane(control, parts)
        for node in nodes:
            if node.node in NODES:
                _start_containerd(control, node, parts)
            else:
                connected = pool.submit(_start_site_node, control, node, parts, connected, within=patience)
        listening = pool.submit(_offer_api, control, patience / 6)
        api = listening.result()
        loaded = pool.submit(api.load)
        loaded.result()
        _until(control, lambda: "" if api.is_ready() else "it is not ready", "API server", within=patience)
        say("API server ready")
        _start_controllers(control, parts)
        _create_nodes(api, planned)
        connected.result()
        for node in nodes:
            # A kubelet that finds no socket ends at once.
            _until(control, node.missing_socket, f"{node.node.name}: containerd", within=patience)
            _start_kubelet(control, node, parts)
        offered = pool.submit(offer_agent, cloud, folder.path / "agent") if providers else None
        proxy = ServiceProxy(control, parts.tools["kube-proxy"], nodes, machines)
        proxy.start(parts.mode)
        start_host_probers(control, _prober(), parts.places)
        manifests = [*system_manifests(parts.images.digests["coredns"], plan), canary_service()]
        manifests += cell_manifests() if providers else []
        _apply_retrying(api, manifests, within=patience)
        for manifest in parts.cni.manifests:
            _kubectl_apply(control, parts, manifest)
        _until(control, lambda: _unready_node(api), "nodes", within=patience)
        say("nodes Ready")
        for node in nodes if parts.cni.wants_policy_agent else ():
            control.daemon("kip-policy-agent", node.policy_agent(), machine=node.node.name)
        _until(control, lambda: _without_account(api), "ServiceAccounts", within=patience)
        if offered is not None:
            _until(control, lambda: lacks_account(api), "cells", within=patience)
            _start_cells(control, parts, offered.result())
        for place in parts.places:
            if place.kind in ("pod", "hostnet"):
                api.create(prober_pod(place, folder.run_id, parts.images.digests["prober"]))
        proxy.wait(parts.mode, within=patience)
    return api, cloud


def _start_cells(control: Control, parts: Parts, itzo: Mapping[str, str]) -> None:
    start_cells(
        control,
        parts.plan,
        parts.mode,
        itzo,
        kube_proxy=parts.tools["kube-proxy"],
        images={"prober": parts.images.digests["prober"]},
        providers=providers_of(parts.places),
        sites=_sites(parts),
    )


def _sites(parts: Parts) -> tuple[str, ...]:
    """The ranges on premises, where places there are judged: cells are to be reached from them."""
    is_judged = any(place.machine in (ON_PREM_NODE.name, ON_PREM_HOST.name) for place in parts.places)
    return (parts.plan.on_prem, parts.plan.on_prem_pods) if is_judged else ()


def _connect(ec2: Any, plan: LabPlan, vpc: LabVpc) -> None:
    connect_site(ec2, plan, vpc)
    make_ways_out(ec2, plan, vpc)
    connect_peer(ec2, plan, vpc)


def _prepare(folder: LabFolder, nodes: Sequence[NodeFiles], parts: Parts) -> Outside:
    """The machines of the VPC before their instances are there; returns what is to be around the cloud."""
    names: tuple[NodePlan | SiteHost, ...] = (
        CONTROL_PLANE,
        *(one.node for one in nodes),
        ON_PREM_GATEWAY,
        ON_PREM_HOST,
    )
    hosts = "127.0.0.1 localhost\n" + "".join(f"{n.address} {n.name}\n" for n in names)
    prepare_machine(folder, CONTROL_PLANE.name, {"/etc/hosts": hosts})
    files = {node.node.name: {"/etc/hosts": hosts, **node.system_files()} for node in nodes}
    for node in NODES:
        prepare_machine(folder, node.name, files[node.name])
    command = prober_command(_prober(), ON_PREM_HOST.name, "plain")
    around = region_world(folder, PublicImages(parts.registry, parts.images.registry_root))
    return with_site(around, parts.plan, command, files.get(ON_PREM_NODE.name))


def _start_site_node(
    control: Control, node: NodeFiles, parts: Parts, connected: Future[None], *, within: float
) -> None:
    """Its machine comes with the network around the cloud, once the VPC is connected with it."""
    connected.result()
    name = node.node.name
    _until(control, lambda: "" if name in control.status()["machines"] else "it does not run", name, within=within)
    join_pods(control, parts.plan)
    _start_containerd(control, node, parts)


def _start_control_plane(control: Control, parts: Parts) -> None:
    folder, name = control.folder, CONTROL_PLANE.name
    tools = parts.tools
    control.daemon("etcd", control_plane.etcd(tools["etcd"], folder.machine(name) / "etcd"), machine=name)
    argv = control_plane.api_server(tools["kube-apiserver"], folder.pki, parts.plan)
    control.daemon("kube-apiserver", argv, machine=name)
    config = folder.machine(name) / "registry.yaml"
    control_plane.registry_config(config, parts.images.registry_root, folder.pki)
    control.daemon("registry", [str(parts.registry), "serve", str(config)], machine=name)


def _start_controllers(control: Control, parts: Parts) -> None:
    name, pki = CONTROL_PLANE.name, control.folder.pki
    manager = control_plane.controller_manager(parts.tools["kube-controller-manager"], pki)
    control.daemon("kube-controller-manager", manager, machine=name)
    control.daemon("kube-scheduler", control_plane.scheduler(parts.tools["kube-scheduler"], pki), machine=name)


def _start_containerd(control: Control, node: NodeFiles, parts: Parts) -> None:
    parts.cni.install(node.node, node.cni_conf, node.cni_bin)
    program = parts.tools["containerd"]
    pause = f"{control_plane.REGISTRY}/pause@{parts.images.digests['pause']}"
    # Its own shim first: another version's may be on PATH.
    path = f"{program.parent}:{BASE_ENVIRONMENT['PATH']}"
    control.daemon("containerd", node.containerd(program, pause), machine=node.node.name, env={"PATH": path})


def _start_kubelet(control: Control, node: NodeFiles, parts: Parts) -> None:
    control.daemon("kubelet", node.kubelet(parts.tools["kubelet"]), machine=node.node.name)


def _offer_api(control: Control, timeout: float) -> KubeApi:
    """Start the forwarder on a free port of 127.0.0.1 and write the operator's kubeconfig.

    `timeout` is how long one request of the bring-up itself may take, in seconds.
    """
    folder = control.folder
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        port = listener.getsockname()[1]
        argv = [sys.executable, "-m", "kip_conformance.infra.lab.forwarder"]
        target = [machine_namespace(CONTROL_PLANE.name), CONTROL_PLANE.address, str(control_plane.API_PORT)]
        control.daemon("forwarder", [*argv, *target], listen=listener.fileno())
    from kip_conformance.infra.lab.pki import write_kubeconfig

    pki = folder.pki
    server = f"https://127.0.0.1:{port}"
    write_kubeconfig(folder.kubeconfig, server, pki / "ca.crt", pki / "admin.crt", pki / "admin.key", embed=True)
    return KubeApi(folder.kubeconfig, timeout=timeout)


def _create_nodes(api: KubeApi, nodes: Sequence[NodePlan]) -> None:
    """Create the Nodes with their pod ranges before kubelet registers: the proxy waits for one."""
    for node in nodes:
        labels = {"kubernetes.io/hostname": node.name}
        spec: dict[str, Any] = {"podCIDR": node.pod_cidr, "podCIDRs": [node.pod_cidr]}
        if node == ON_PREM_NODE:
            labels[SITE_LABEL] = SITE
            spec |= {"taints": [{"key": SITE_LABEL, "value": SITE, "effect": "NoSchedule"}]}
        api.create(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name, "labels": labels}, "spec": spec}
        )


def _apply_retrying(api: KubeApi, manifests: Sequence[dict[str, object]], *, within: float) -> None:
    """Apply in order; a refusal that only means "not yet" (default roles and namespaces are being made) is retried."""
    deadline = time.monotonic() + within
    for manifest in manifests:
        while True:
            try:
                api.apply(manifest)
                break
            except ApiRefusal as refusal:
                if refusal.status not in (403, 404, 409, 429, 500, 503) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def _kubectl_apply(control: Control, parts: Parts, manifest: Path) -> None:
    argv = [str(parts.tools["kubectl"]), "--kubeconfig", str(control.folder.kubeconfig), "apply", "-f", str(manifest)]
    done = control.run(argv, timeout=60)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise HarnessError(f"CNI manifest {manifest}: {said[-1] if said else f'kubectl ended with {done.returncode}'}")


def _unready_node(api: KubeApi) -> str:
    """The first node that is not Ready, and why; nothing when all are."""
    for node in api.list("Node"):
        conditions = {condition["type"]: condition for condition in node.get("status", {}).get("conditions", [])}
        ready = conditions.get("Ready", {})
        if ready.get("status") != "True":
            return f"{node['metadata']['name']} is not Ready: {ready.get('message', 'its kubelet has not registered')}"
    return ""


def _without_account(api: KubeApi) -> str:
    found = api.find("ServiceAccount", "default", NAMESPACE)
    return "" if found else f"namespace {NAMESPACE} has no default ServiceAccount"


def _until(control: Control, missing: Callable[[], str], what: str, *, within: float) -> None:
    """Wait until nothing is missing. Raises HarnessError at once when a component has died, else after `within` s."""
    attempts = Attempts(within=within)
    while why := missing():
        control.check_daemons()
        if attempts.over():
            raise HarnessError(f"{what}: {why} (waited {within:g} s)")
        attempts.pause()


def _prober() -> Path:
    return Path(os.path.realpath(Path(__file__).parent.parent / "probe" / "prober.py"))
