"""The cluster as its API shows it: pods, nodes, logs, and commands run in pods. Nothing is changed here.

Values hold what rows judge and no more. A log or a command that the API refuses is something seen, not an error of the
harness, because rows judge it; an API server that does not answer at all is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import ApiRefusal, KubeApi, object_path
from kip_conformance.infra.targets.protocol import Place, PodRef

__all__ = ["ClusterReader", "NodeView", "PodView", "Ran", "shared_addresses"]


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod's status. `pod_ips` are the strings of status.podIPs in order; an address is empty when there is none."""

    namespace: str
    name: str
    node: str
    phase: str
    pod_ip: str
    pod_ips: tuple[str, ...]
    is_host_network: bool
    host_ip: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node that runs a kubelet, by name, with its InternalIP (the first; empty when there is none).

    `addresses` are all that its status lists, host names aside, `pod_cidrs` the ranges that its pods come from.
    """

    name: str
    internal_ip: str
    addresses: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a command in a pod: its exit code and output, or None and why the API did not run it."""

    exit_code: int | None
    output: str = ""
    refusal: str = ""


class ClusterReader:
    """Reads one API server. Every method raises HarnessError when the server does not answer."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = KubeApi(kubeconfig)
        self._kubeconfig = kubeconfig

    def live_pods(self) -> tuple[PodView, ...]:
        """Every pod of the cluster that has not ended and is not being deleted; finished pods keep their address.

        Raises HarnessError when there is none: the resident probers at least must be there.
        """
        pods = (pod for pod in self._api.list("Pod") if "deletionTimestamp" not in pod["metadata"])
        views = (_pod_view(pod) for pod in pods)
        live = tuple(view for view in views if view.phase in ("Pending", "Running", "Unknown"))
        if not live:
            raise HarnessError("the API shows no live pod at all, not even the resident probers")
        return live

    def pod(self, place: Place) -> PodView:
        """The pod of a place, as it is now. Raises HarnessError when it is gone or was replaced."""
        reference = _reference(place)
        pod = self._api.find("Pod", reference.name, reference.namespace)
        if pod is None or pod["metadata"]["uid"] != reference.uid:
            raise HarnessError(f"the pod of place {place.name} was {'deleted' if pod is None else 'replaced'}")
        return _pod_view(pod)

    def kubelet_nodes(self) -> tuple[NodeView, ...]:
        """Every node that runs a kubelet: all but virtual ones, which say so in the label `type`."""
        nodes = self._api.list("Node")
        return tuple(
            NodeView(
                name=node["metadata"]["name"],
                internal_ip=_internal_ip(node),
                addresses=_addresses(node),
                pod_cidrs=tuple(node.get("spec", {}).get("podCIDRs", ())),
            )
            for node in nodes
            if node["metadata"].get("labels", {}).get("type") != "virtual-kubelet"
        )

    def service_ranges(self) -> tuple[str, ...]:
        """The ranges that ClusterIPs come from, as the ServiceCIDR objects list them; none where there is no such API.

        ServiceCIDR is in every cluster from Kubernetes 1.33 on.
        """
        try:
            found = self._api.list("ServiceCIDR")
        except ApiRefusal as refusal:
            if refusal.status == 404:
                return ()
            raise
        return tuple(cidr for each in found for cidr in each["spec"]["cidrs"])

    def endpoint_addresses(self, service: str, namespace: str) -> frozenset[str]:
        """The addresses of all ready endpoints in the EndpointSlices of a Service."""
        slices = self._api.list("EndpointSlice", namespace, labels={"kubernetes.io/service-name": service})
        return frozenset(
            address
            for each in slices
            for endpoint in each.get("endpoints") or ()
            if endpoint.get("conditions", {}).get("ready") is not False
            for address in endpoint["addresses"]
        )

    def termination_message(self, place: Place, container: str) -> str:
        """What a container of the place's pod that has ended left as its message; empty when there is none."""
        reference = _reference(place)
        status = (self._api.find("Pod", reference.name, reference.namespace) or {}).get("status", {})
        ended = [
            each["state"]["terminated"].get("message", "")
            for each in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
            if each["name"] == container and "terminated" in each["state"]
        ]
        return str(ended[0]) if ended else ""

    def host_interface(self, place: Place) -> int:
        """The index, on its machine, of the other end of the interface eth0 of a place's pod.

        Raises HarnessError when it cannot be read.
        """
        ran = self.run(place, ["/bin/cat", "/sys/class/net/eth0/iflink"])
        if ran.exit_code != 0:
            raise HarnessError(f"{place.name}: the other end of eth0 cannot be read: {ran}")
        return int(ran.output)

    def crash(self, place: Place) -> None:
        """Ask the first process of a place's container to end, without waiting. Raises HarnessError."""
        # The command must be over before the container is: a stream that is cut off says nothing.
        ran = self.run(place, ["/bin/sh", "-c", "(sleep 0.2; kill 1) </dev/null >/dev/null 2>&1 &"])
        if ran.exit_code != 0:
            raise HarnessError(f"{place.name}: its container could not be told to end: {ran}")

    def environment(self, place: Place) -> Mapping[str, str]:
        """The environment that the first process of the place's container was started with.

        Raises HarnessError when it cannot be read.
        """
        ran = self.run(place, ["/bin/cat", "/proc/1/environ"])
        if ran.exit_code != 0:
            raise HarnessError(f"the environment of {place.name} cannot be read: {ran}")
        return dict(entry.split("=", 1) for entry in ran.output.split("\0") if "=" in entry)

    def logs(self, place: Place) -> str:
        """The whole log of the place's container; empty when the API refuses it."""
        reference = _reference(place)
        path = f"{object_path('Pod', reference.name, reference.namespace)}/log?container={reference.container}"
        try:
            return self._api.request("GET", path).decode(errors="replace")
        except ApiRefusal as refusal:
            return f"refused: {refusal}"

    def run(self, place: Place, argv: Sequence[str], *, timeout: float = 15.0) -> Ran:
        """Run `argv` in the place's container through an exec stream of its own.

        Raises HarnessError when a stream that was open is cut off: nobody knows then what became of the command.
        """
        return asyncio.run(_run(self._kubeconfig, _reference(place), argv, timeout))


def shared_addresses(pods: Iterable[PodView]) -> Mapping[str, tuple[str, ...]]:
    """Addresses that more than one pod outside the host network has, with the names of those pods."""
    owners: dict[str, list[str]] = {}
    for pod in pods:
        if not pod.is_host_network:
            for address in dict.fromkeys((pod.pod_ip, *pod.pod_ips)):
                owners.setdefault(address, []).append(str(pod))
    return {address: tuple(names) for address, names in owners.items() if address and len(names) > 1}


def _pod_view(pod: Mapping[str, Any]) -> PodView:
    status = pod.get("status", {})
    return PodView(
        namespace=pod["metadata"]["namespace"],
        name=pod["metadata"]["name"],
        node=pod["spec"].get("nodeName", ""),
        phase=status.get("phase", "Unknown"),
        pod_ip=status.get("podIP", ""),
        pod_ips=tuple(entry["ip"] for entry in status.get("podIPs", ())),
        is_host_network=bool(pod["spec"].get("hostNetwork")),
        host_ip=status.get("hostIP", ""),
    )


def _internal_ip(node: Mapping[str, Any]) -> str:
    addresses = node.get("status", {}).get("addresses", ())
    return next((str(entry["address"]) for entry in addresses if entry["type"] == "InternalIP"), "")


def _addresses(node: Mapping[str, Any]) -> tuple[str, ...]:
    addresses = node.get("status", {}).get("addresses", ())
    return tuple(str(entry["address"]) for entry in addresses if entry["type"] in ("InternalIP", "ExternalIP"))


def _reference(place: Place) -> PodRef:
    if place.pod is None:
        raise HarnessError(f"place {place.name} is not a pod: it has no log and takes no exec")
    return place.pod


async def _run(kubeconfig: Path, pod: PodRef, argv: Sequence[str], timeout: float) -> Ran:
    from kip_conformance.infra.probe.channel import ChannelLost
    from kip_conformance.infra.probe.exec_stream import ExecStream
    from kip_conformance.infra.probe.kubeconfig import load_kubeconfig

    output = bytearray()
    try:
        stream = await ExecStream.open(load_kubeconfig(kubeconfig), pod, argv, stdin=False, timeout=timeout)
    except ChannelLost as error:
        return Ran(None, refusal=str(error))
    try:
        async with asyncio.timeout(timeout):
            async for piece in stream.chunks():
                output += piece
    except TimeoutError:
        return Ran(None, output.decode(errors="replace"), f"the command did not end within {timeout:g} s")
    finally:
        await stream.close()
    if stream.exit_code is None:
        raise HarnessError(stream.epitaph())
    return Ran(stream.exit_code, output.decode(errors="replace"))
