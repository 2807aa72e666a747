"""What runs in the cluster for the whole of a run: cluster DNS, and a resident prober in every place.

Manifests and their readiness; what the probers do is infra/probe.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.attempts import Attempts
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.control_plane import API_PORT, REGISTRY
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, ON_PREM_HOST, ON_PREM_NODE, LabPlan
from kip_conformance.infra.targets.plan import PlannedPlace
from kip_conformance.infra.targets.protocol import Place, PodRef
from kip_conformance.infra.workloads.conditions import is_running, last_condition
from kip_conformance.infra.workloads.pods import prober_container

__all__ = [
    "CANARY",
    "NAMESPACE",
    "canary_service",
    "prober_command",
    "prober_pod",
    "start_host_probers",
    "system_manifests",
    "wait_places",
]

NAMESPACE = "kip-conformance"
CANARY = "canary"
PORTS = {"pod": (8080, 8081), "host": (8180, 8181), "hostnet": (8280, 8281), "plain": (8380, 8381)}
PROBER_SOCKET = "/run/kip-prober.sock"
_MANIFESTS = Path(__file__).parent / "manifests"
_ADDRESS_OF = {one.name: one.address for one in (*NODES, ON_PREM_NODE, ON_PREM_HOST)}


def system_manifests(coredns_digest: str, plan: LabPlan) -> list[dict[str, Any]]:
    """Cluster DNS, the namespace of the probers, and what the API server needs to talk to kubelets."""
    text = Template((_MANIFESTS / "system.yaml").read_text()).substitute(
        DOMAIN=plan.domain,
        DNS=plan.dns,
        COREDNS_IMAGE=f"{REGISTRY}/coredns@{coredns_digest}",
        API_HOST=CONTROL_PLANE.address,
        API_PORT=API_PORT,
    )
    return list(yaml.safe_load_all(text))


def canary_service() -> dict[str, Any]:
    """A Service over every resident pod: it answers on a machine once that machine's proxy has synced."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": CANARY, "namespace": NAMESPACE},
        "spec": {
            "selector": {"kip-conformance/kind": "pod"},
            "ports": [
                {"name": protocol.lower(), "port": 80, "targetPort": PORTS["pod"][0], "protocol": protocol}
                for protocol in ("TCP", "UDP")
            ],
        },
    }


def prober_pod(place: PlannedPlace, run_id: str, digest: str) -> dict[str, Any]:
    """The resident prober of a pod place, bound to its node: no scheduling decision is being judged."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": place.name,
            "namespace": NAMESPACE,
            "labels": {
                "kip-conformance/run": run_id,
                "kip-conformance/place": place.name,
                "kip-conformance/kind": place.kind,
            },
        },
        "spec": {
            "nodeName": place.node or place.machine,
            "hostNetwork": place.kind == "hostnet",
            "terminationGracePeriodSeconds": 1,
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                prober_container(place.name, f"{REGISTRY}/prober@{digest}", PORTS[place.kind]),
            ],
        },
    }


def start_host_probers(control: Control, prober: Path, places: Sequence[PlannedPlace]) -> None:
    """Start the probers of nodes; that of a plain host is started with its machine."""
    for place in places:
        if place.kind == "host":
            control.daemon("prober", prober_command(prober, place.name, place.kind), machine=place.machine)


def prober_command(prober: Path, name: str, kind: str) -> list[str]:
    """The command of the prober of a place that is a machine itself."""
    ports = [word for port in PORTS[kind] for word in ("--port", str(port))]
    return [sys.executable, "-I", str(prober), "serve", "--name", name, "--socket", PROBER_SOCKET, *ports]


def wait_places(api: KubeApi, control: Control, planned: Sequence[PlannedPlace], *, within: float) -> list[Place]:
    """Every planned place with its addresses, once its container runs.

    Raises HarnessError after `within` seconds, with the last condition of the first pod that is not running, and at
    once when a component of the lab has died.
    """
    attempts = Attempts(within=within)
    wanted = {place.name for place in planned if place.kind in ("pod", "hostnet")}
    while True:
        pods = {pod["metadata"]["name"]: pod for pod in api.list("Pod", NAMESPACE)}
        late = [name for name in sorted(wanted) if not is_running(pods.get(name))]
        if not late:
            return [_place(place, pods.get(place.name)) for place in planned]
        control.check_daemons()
        if attempts.over():
            raise HarnessError(
                f"place {late[0]} did not start within {within:g} s: {last_condition(pods.get(late[0]))}"
            )
        attempts.pause()


def _place(place: PlannedPlace, pod: dict[str, Any] | None) -> Place:
    reference = None
    if pod is None or (place.kind == "hostnet" and not place.node):
        address = _ADDRESS_OF[place.machine]
    else:
        address = pod["status"]["podIP"]
    if pod is not None:
        reference = PodRef(NAMESPACE, place.name, pod["metadata"]["uid"])
    return Place(
        place.name,
        place.kind,
        place.machine,
        address,
        (address,),
        PORTS[place.kind],
        PROBER_SOCKET,
        reference,
        place.node,
    )
