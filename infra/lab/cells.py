"""Cells in a lab: the reference provider on the machines of nodes, and what cells need to come up.

The agent is downloaded from a web server on the control plane's machine; the prober's image comes with the machine
image, others from the lab's own registry. What the provider itself does is infra/provider's; here is only what it is
told.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kip_conformance.infra import provider
from kip_conformance.infra.cell import archive
from kip_conformance.infra.cloud.start import REGION, machine_environment
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.binaries.cache import cache_root
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.control_plane import REGISTRY
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, LabPlan, NodePlan
from kip_conformance.infra.targets.plan import PlannedPlace
from kip_conformance.infra.targets.protocol import Place

__all__ = ["PROVIDERS", "LabProvider", "cell_manifests", "lacks_account", "providers_of", "start_cells"]

KUBELET_PORT = 10260
"""Not a kubelet's own: that of the node on the same machine has it."""
_AGENT_PORT = 8000
_IMAGE, _TYPE = "ami-0d00000000000debd", "t3.small"
_ACCOUNT = "kip-cells"


@dataclass(frozen=True, slots=True)
class LabProvider:
    """A provider with its virtual node. It runs on the node's machine, and its cells are in that node's subnet."""

    node: str
    host: NodePlan


PROVIDERS = (LabProvider("kip-node", NODES[0]), LabProvider("kip-private", NODES[1]))


def providers_of(places: Iterable[PlannedPlace | Place]) -> tuple[LabProvider, ...]:
    """The providers of a lab with these places: those whose virtual node has one of them."""
    machines = {place.machine for place in places}
    return tuple(one for one in PROVIDERS if one.node in machines)


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
    *,
    kube_proxy: Path,
    images: Mapping[str, str],
    providers: Sequence[LabProvider],
) -> None:
    """Start the providers and the web server that cells download the agent from; cells may come up later.

    `images` are the digests of what the cells' machine image brings along, by repository name. Raises HarnessError.
    """
    folder = control.folder
    agent = folder.path / "agent"
    program, digest = archive.build(agent)
    store = bake_images(control, program, images)
    web = [sys.executable, "-m", "http.server", str(_AGENT_PORT), "--directory", str(agent)]
    control.daemon("agent-download", web, machine=CONTROL_PLANE.name)
    itzo = {
        "url": f"http://{CONTROL_PLANE.address}:{_AGENT_PORT}",
        "version": archive.version(),
        "sha256": digest,
    }
    told = {
        "apiVersion": "v1",
        "cloud": {"aws": {"region": REGION}},
        "cells": {
            "nametag": "lab",
            "defaultInstanceType": _TYPE,
            "bootImageSpec": {"imageIDs": _IMAGE},
            "extraCIDRs": [plan.pods],
            "itzo": itzo,
            "statusInterval": 2,
            "cellConfig": {
                "proxyMode": mode,
                "registryCAFile": f"{folder.pki}/ca.crt",
                "imageStore": str(store),
                "kubeProxy": os.path.realpath(kube_proxy),
            },
        },
    }
    config = folder.path / "provider.yaml"
    config.write_text(yaml.safe_dump(told))
    for one in providers:
        pki, host = folder.pki, one.host.name
        argv = [sys.executable, "-m", "kip_conformance.infra.provider", "--config", str(config)]
        argv += ["--kubeconfig", f"{pki}/kip-provider.kubeconfig", "--nodename", one.node]
        argv += ["--address", one.host.address, "--network-agent-secret", f"kube-system/{_ACCOUNT}"]
        argv += ["--cluster-dns", plan.dns, "--cluster-domain", plan.domain]
        argv += ["--kubelet-port", str(KUBELET_PORT), "--kubelet-certificate", f"{pki}/{host}-kubelet.crt"]
        argv += ["--kubelet-key", f"{pki}/{host}-kubelet.key", "--client-ca", f"{pki}/ca.crt"]
        env = dict(line.split("=", 1) for line in machine_environment(folder))
        control.daemon("kip-provider", argv, machine=host, env=env)
