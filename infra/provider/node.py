"""The virtual node: its object, its lease, and both kept up to date.

Source: Kip's node object (label, taint, InternalIP, port 10250); "Kubernetes documentation, Nodes, Heartbeats". The
node has no pod CIDR: its pods have addresses of the VPC.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.provider.config import Kubelet
from kip_conformance.infra.provider.events import now
from kip_conformance.infra.provider.kube_client import MERGE, KubeClient, Object, path_of

__all__ = ["LABELS", "TAINT", "VirtualNode", "lease_object", "node_object", "node_status"]

_LOG = logging.getLogger(__name__)
_LEASE_GROUP, _LEASE_NAMESPACE = "coordination.k8s.io/v1", "kube-node-lease"
_LEASE_SECONDS = 40
_RENEWAL = 10.0
_STATUS_EVERY = 30.0

LABELS = {
    "type": "virtual-kubelet",
    "kubernetes.io/role": "agent",
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": "amd64",
    "node.kubernetes.io/exclude-from-external-load-balancers": "true",
    "alpha.service-controller.kubernetes.io/exclude-balancer": "true",
}
TAINT = {"key": "virtual-kubelet.io/provider", "value": "kip", "effect": "NoSchedule"}


@dataclass(frozen=True, slots=True)
class VirtualNode:
    """`address` is the provider's own machine's, `zone` the cells'; `kubelet` is what the node says it has."""

    name: str
    address: str
    region: str
    zone: str
    kubelet: Kubelet
    version: str
    port: int = 10250

    async def keep(self, kube: KubeClient) -> None:
        """Keep node and lease for ever; each failure is a line in the log, and tried again."""
        await asyncio.gather(_again(_STATUS_EVERY, self.ensure, kube), _again(_RENEWAL, self.renew, kube))

    async def ensure(self, kube: KubeClient) -> Object:
        """Make the node, or make it right again; returns it. Raises what the client raises."""
        path = path_of("nodes", self.name)
        found = await kube.find(path)
        if found is None:
            try:
                found = await kube.create(path_of("nodes"), node_object(self))
            except ApiRefusal as error:
                if error.status != 409:
                    raise
                found = await kube.get(path)
        if change := _repair(found):
            found = await kube.patch(path, change)
        return await kube.patch(f"{path}/status", {"status": node_status(self, found)}, kind=MERGE)

    async def renew(self, kube: KubeClient) -> None:
        """The node's heartbeat."""
        path = path_of("leases", self.name, _LEASE_NAMESPACE, group=_LEASE_GROUP)
        time = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        try:
            await kube.patch(path, {"spec": {"renewTime": time, "holderIdentity": self.name}})
        except ApiRefusal as error:
            if error.status != 404:
                raise
            owner = await kube.find(path_of("nodes", self.name))
            lease = lease_object(self.name, time, owner["metadata"]["uid"] if owner else "")
            await kube.create(path_of("leases", namespace=_LEASE_NAMESPACE, group=_LEASE_GROUP), lease)


def node_object(node: VirtualNode) -> Object:
    """The node as it is created: no pod CIDR."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": {
                **LABELS,
                "kubernetes.io/hostname": node.name,
                "topology.kubernetes.io/region": node.region,
                "topology.kubernetes.io/zone": node.zone,
            },
        },
        "spec": {"taints": [TAINT]},
    }


def node_status(node: VirtualNode, known: Object) -> dict[str, Any]:
    """Capacity, address, port, features and conditions. A condition's time of change stays while its status does."""
    resources = {"cpu": node.kubelet.cpu, "memory": node.kubelet.memory, "pods": node.kubelet.pods}
    before = {one["type"]: one for one in (known.get("status") or {}).get("conditions") or []}
    time = now()
    conditions = []
    for kind, status, reason, message in (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "each cell has memory of its own"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "each cell has a disk of its own"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "each cell has processes of its own"),
        ("NetworkUnavailable", "False", "RouteCreated", "cells have addresses of the VPC"),
        ("Ready", "True", "KubeletReady", "the provider is running"),
    ):
        last = before.get(kind, {})
        since = last["lastTransitionTime"] if last.get("status") == status else time
        conditions.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": time,
                "lastTransitionTime": since,
            }
        )
    return {
        "capacity": resources,
        "allocatable": resources,
        "conditions": conditions,
        "addresses": [{"type": "InternalIP", "address": node.address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": node.port}},
        # An API server that knows this passes the client's websocket through, as it is (exec, attach, port-forward).
        "declaredFeatures": ["ExtendWebSocketsToKubelet"],
        "nodeInfo": {
            "architecture": "amd64",
            "operatingSystem": "linux",
            "kubeletVersion": node.version,
            "kubeProxyVersion": "",
            "containerRuntimeVersion": "kip://cell",
            "osImage": "Kip cells",
            "kernelVersion": "",
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
        },
    }


def lease_object(name: str, time: str, owner: str) -> Object:
    metadata: dict[str, Any] = {"name": name, "namespace": _LEASE_NAMESPACE}
    if owner:
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": owner}]
    spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": time}
    return {"apiVersion": _LEASE_GROUP, "kind": "Lease", "metadata": metadata, "spec": spec}


def _repair(found: Object) -> dict[str, Any]:
    """What to change of a node that lacks a label or the taint; empty when it lacks none."""
    change: dict[str, Any] = {}
    labels = found["metadata"].get("labels") or {}
    if lacking := {key: value for key, value in LABELS.items() if labels.get(key) != value}:
        change["metadata"] = {"labels": lacking}
    taints = (found.get("spec") or {}).get("taints") or []
    if not any(one["key"] == TAINT["key"] and one["effect"] == TAINT["effect"] for one in taints):
        change["spec"] = {"taints": [*taints, TAINT]}
    return change


async def _again(every: float, work: Any, kube: KubeClient) -> None:
    while True:
        try:
            await work(kube)
            pause = every
        except KipError as error:
            _LOG.warning("node: %s", error)
            pause = min(every, 2.0)
        await asyncio.sleep(pause)
