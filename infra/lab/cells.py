"""Cells in a lab: the reference provider on the machines of nodes, and what cells need to come up.

The agent is downloaded from a bucket of the region's S3, as Kip's is; the prober's image comes with the machine image,
others from the lab's own registry. What the provider itself does is infra/provider's; here is only what it is told.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kip_conformance.infra import provider
from kip_conformance.infra.cell import archive
from kip_conformance.infra.cloud.start import REGION, cloud_client, machine_environment
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.attempts import Attempts
from kip_conformance.infra.lab.binaries.cache import cache_root
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.control_plane import REGISTRY
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, LabPlan, NodePlan
from kip_conformance.infra.targets.plan import PlannedPlace
from kip_conformance.infra.targets.protocol import Place

__all__ = [
    "PROVIDERS",
    "Cell",
    "LabProvider",
    "cell_manifests",
    "change_mode",
    "command_files",
    "end_provider",
    "find_cells",
    "lacks_account",
    "offer_agent",
    "provider_settings",
    "providers_of",
    "providers_stopped",
    "providers_told",
    "restart_providers",
    "run_provider",
    "start_cells",
]

KUBELET_PORT = 10260
"""Not a kubelet's own: that of the node on the same machine has it."""
_IMPATIENCE = ("--boot-warning", "10", "--sweep-interval", "15")
"""Seconds: a lab's cells boot in two, and rows wait for what a provider says and mends; in a cloud both are longer."""
_BUCKET = "kip-agent"
_CONFIG, _COMMAND, _DAEMON = "provider.yaml", "provider.json", "kip-provider"
_IMAGE, _TYPE = "ami-0d00000000000debd", "t3.small"
_ACCOUNT = "kip-cells"


@dataclass(frozen=True, slots=True)
class LabProvider:
    """A provider with its virtual node. It runs on the node's machine, and its cells are in that node's subnet."""

    node: str
    host: NodePlan


@dataclass(frozen=True, slots=True)
class Cell:
    """The instance behind a place's pod: its id, which is its machine's name, and its management address."""

    instance: str
    address: str


PROVIDERS = (LabProvider("kip-node", NODES[0]), LabProvider("kip-private", NODES[1]))


def providers_of(places: Iterable[PlannedPlace | Place]) -> tuple[LabProvider, ...]:
    """The providers of a lab with these places: those whose virtual node has one of them."""
    nodes = {place.node for place in places}
    return tuple(one for one in PROVIDERS if one.node in nodes)


def offer_agent(cloud: str, folder: Path) -> dict[str, str]:
    """Pack the agent and put it into a bucket that everybody may read; returns `cells.itzo` of provider.yaml."""
    path, digest = archive.build(folder)
    s3 = cloud_client("s3", cloud)
    s3.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=_BUCKET, Key=path.name, Body=path.read_bytes(), ACL="public-read")
    return {"url": f"http://{_BUCKET}.s3.{REGION}.amazonaws.com", "version": archive.version(), "sha256": digest}


def find_cells(ec2: Any, addresses: Mapping[str, str]) -> dict[str, Cell]:
    """The cells with these podIPs, by place. Raises HarnessError for an address that no instance has."""
    filters = [{"Name": "addresses.private-ip-address", "Values": sorted(set(addresses.values()))}]
    owners = {
        one["PrivateIpAddress"]: Cell(interface["Attachment"]["InstanceId"], interface["PrivateIpAddress"])
        for interface in ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        if "InstanceId" in interface.get("Attachment", {})
        for one in interface["PrivateIpAddresses"]
    }
    for place, address in addresses.items():
        if address not in owners:
            raise HarnessError(f"place {place}: no instance has its address {address}")
    return {place: owners[address] for place, address in addresses.items()}


def cell_manifests() -> list[dict[str, Any]]:
    """What the provider and the cells may do in the cluster."""
    files = (Path(provider.__file__).parent / "manifests" / "rbac.yaml", Path(__file__).parent / "manifests/cells.yaml")
    return [manifest for file in files for manifest in yaml.safe_load_all(file.read_text())]


def lacks_account(api: KubeApi) -> str:
    """Why no provider can start yet; empty when it can."""
    found = api.find("Secret", _ACCOUNT, "kube-system")
    has_token = found is not None and "token" in (found.get("data") or {})
    return "" if has_token else f"Secret kube-system/{_ACCOUNT} has no token"


def bake_images(control: Control, program: Path, digests: Mapping[str, str]) -> Path:
    """The folder of images that come with the cells' machine image, unpacked; made once a cache. The registry runs.

    `digests` are by repository name. Raises HarnessError with the last line of what went wrong.
    """
    store = cache_root() / "cell-images"
    missing = [f"{REGISTRY}/{name}@{one}" for name, one in digests.items() if not _has(store, one)]
    if missing:
        argv = ["/usr/bin/python3", "-I", str(program), "bake", str(store), f"{control.folder.pki}/ca.crt", *missing]
        done = control.run(argv, machine=CONTROL_PLANE.name, timeout=120)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise HarnessError(f"images for cells: {said[-1] if said else f'exit code {done.returncode}'}")
    return store


def _has(store: Path, digest: str) -> bool:
    return (store / digest.removeprefix("sha256:") / "config.json").exists()


def start_cells(
    control: Control,
    plan: LabPlan,
    mode: str,
    itzo: Mapping[str, str],
    *,
    kube_proxy: Path,
    images: Mapping[str, str],
    providers: Sequence[LabProvider],
    sites: Sequence[str] = (),
) -> None:
    """Start the providers; cells may come up later. `itzo` is what `offer_agent` returned.

    `images` are the digests of what the cells' machine image brings along, by repository name, `sites` the ranges of
    other networks that may reach cells. Raises HarnessError.
    """
    folder = control.folder
    store = bake_images(control, folder.path / "agent" / f"{archive.NAME}-{itzo['version']}", images)
    told = {
        "apiVersion": "v1",
        "cloud": {"aws": {"region": REGION}},
        "cells": {
            "nametag": "lab",
            "defaultInstanceType": _TYPE,
            "bootImageSpec": {"imageIDs": _IMAGE},
            "extraCIDRs": [plan.pods, *sites],
            "itzo": dict(itzo),
            "statusInterval": 2,
            "cellConfig": {
                "proxyMode": mode,
                "registryCAFile": f"{folder.pki}/ca.crt",
                "imageStore": str(store),
                "kubeProxy": os.path.realpath(kube_proxy),
            },
        },
    }
    config = folder.path / _CONFIG
    config.write_text(yaml.safe_dump(told))
    for one in providers:
        pki, host = folder.pki, one.host.name
        argv = [sys.executable, "-m", "kip_conformance.infra.provider", "--config", str(config)]
        argv += ["--kubeconfig", f"{pki}/kip-provider.kubeconfig", "--nodename", one.node]
        argv += ["--address", one.host.address, "--network-agent-secret", f"kube-system/{_ACCOUNT}"]
        argv += ["--cluster-dns", plan.dns, "--cluster-domain", plan.domain, *_IMPATIENCE]
        argv += ["--kubelet-port", str(KUBELET_PORT), "--kubelet-certificate", f"{pki}/{host}-kubelet.crt"]
        argv += ["--kubelet-key", f"{pki}/{host}-kubelet.key", "--client-ca", f"{pki}/ca.crt"]
        _command(control, host).write_text(json.dumps(argv))
        _start(control, host)


def change_mode(control: Control, mode: str) -> None:
    """Cells that are launched from now on run kube-proxy in this mode: the providers start again, told so.

    Their cells go on. Nothing happens in a lab without providers. Raises HarnessError for one that does not end.
    """
    if not command_files(control):
        return
    told = provider_settings(control)
    told["cells"]["cellConfig"]["proxyMode"] = mode
    _tell(control, told)


def provider_settings(control: Control) -> dict[str, Any]:
    """What provider.yaml says now. Raises HarnessError in a lab without providers."""
    try:
        told: dict[str, Any] = yaml.safe_load((control.folder.path / _CONFIG).read_text())
    except FileNotFoundError as error:
        raise HarnessError(f"lab {control.folder.run_id} has no providers") from error
    return told


@contextlib.contextmanager
def providers_told(control: Control, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Providers run with a changed provider.yaml for the length of the block; their cells go on. Raises HarnessError.

    `change` is given what the file says, and changes that.
    """
    before = provider_settings(control)
    told = copy.deepcopy(before)
    change(told)
    try:
        _tell(control, told)
        yield
    finally:
        _tell(control, before)


def _tell(control: Control, told: Mapping[str, Any]) -> None:
    (control.folder.path / _CONFIG).write_text(yaml.safe_dump(told))
    restart_providers(control)


def command_files(control: Control) -> tuple[Path, ...]:
    """The files with the providers' commands, one a provider of this lab: JSON lists, which a restart reads."""
    return tuple(_command(control, host.name) for host in _hosts(control))


@contextlib.contextmanager
def providers_stopped(control: Control) -> Iterator[None]:
    """No provider runs for the length of the block; afterwards they answer again. Raises HarnessError."""
    try:
        _end_all(control)
        yield
    finally:
        _start_all(control)


def restart_providers(control: Control) -> None:
    """End the providers and start them again, with what provider.yaml says now; returns when they answer."""
    _end_all(control)
    _start_all(control)


def _end_all(control: Control) -> None:
    """Together: each takes a few seconds to end what it has under way."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: control.end_daemon(host.name, _DAEMON), _hosts(control)))


def _hosts(control: Control) -> list[NodePlan]:
    """The machines with a provider."""
    return [one.host for one in PROVIDERS if _command(control, one.host.name).exists()]


def _start_all(control: Control) -> None:
    for host in _hosts(control):
        _start(control, host.name)
    for host in _hosts(control):
        _wait_answering(control, host)


def _wait_answering(control: Control, host: NodePlan, *, within: float = 30.0) -> None:
    """Until its kubelet port takes connections: without it there is no exec into its pods. Raises HarnessError."""
    attempts = Attempts(within=within)
    connect = ["bash", "-c", f"exec 3<>/dev/tcp/{host.address}/{KUBELET_PORT}"]
    while control.run(connect, machine=host.name, timeout=5).returncode != 0:
        control.check_daemons()
        if attempts.over():
            raise HarnessError(f"{host.name}: the provider's kubelet port does not answer after {within:g} s")
        attempts.pause()


def _start(control: Control, machine: str) -> None:
    environment = dict(line.split("=", 1) for line in machine_environment(control.folder))
    argv = json.loads(_command(control, machine).read_text())
    control.daemon(_DAEMON, argv, machine=machine, env=environment)


def _command(control: Control, machine: str) -> Path:
    return control.folder.machine(machine) / _COMMAND


def run_provider(control: Control, host: NodePlan, argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run one more provider, on a machine that has none; returns when it answers. Raises HarnessError."""
    control.daemon(_DAEMON, argv, machine=host.name, env=environment)
    _wait_answering(control, host)


def end_provider(control: Control, host: NodePlan) -> None:
    """End the one that `run_provider` started. Raises HarnessError when it does not."""
    control.end_daemon(host.name, _DAEMON)
