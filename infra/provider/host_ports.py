"""HostPorts of cells' pods: which ports of the provider's own machine lead to which pod, and who has to go without.

Source: Kip, docs/networking.md: mappings are created and maintained by Kip on the machine where it runs, which is the
pods' hostIP. A port belongs to the first pod that has it; another that wants it is told so by an event, and gets it
when it is free. The rules themselves are host_port_rules.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.provider.events import Events, reference
from kip_conformance.infra.provider.host_port_rules import Mapping, apply, forget_flows
from kip_conformance.infra.provider.kube_client import KubeClient, Object, path_of

__all__ = ["Claim", "HostPorts", "claims_of", "collide", "settle"]

_LOG = logging.getLogger(__name__)
_ANY = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A port of the machine that a pod wants; `host_ip` is empty for every address of it."""

    protocol: str
    host_ip: str
    port: int
    target: int

    def __str__(self) -> str:
        return f"{self.host_ip or '*'}:{self.port}/{self.protocol.upper()}"


def claims_of(pod: Object) -> list[Claim]:
    """What the pod's containers want; nothing for one on the host network, whose ports are its cell's."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        return []
    sidecars = [one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"]
    found = []
    for container in [*sidecars, *spec["containers"]]:
        for port in container.get("ports") or []:
            if port.get("hostPort"):
                host_ip = "" if port.get("hostIP") in (None, *_ANY) else port["hostIP"]
                protocol = (port.get("protocol") or "TCP").lower()
                found.append(Claim(protocol, host_ip, port["hostPort"], port["containerPort"]))
    return sorted(set(found))


def collide(one: Claim, other: Claim) -> bool:
    """Whether both want the same packets."""
    same = (one.protocol, one.port) == (other.protocol, other.port)
    return same and (one.host_ip == other.host_ip or not one.host_ip or not other.host_ip)


@dataclass(frozen=True, slots=True)
class Settled:
    """Who has what, and who has to go without because of whom."""

    mappings: list[tuple[Object, Claim, str]]
    refused: list[tuple[Object, Claim, Object]]


def settle(pods: Iterable[tuple[Object, str]], holders: dict[Claim, str]) -> Settled:
    """`pods` are those with their address, `holders` who has had a claim so far, by uid: they keep it."""
    wanted = [(pod, claim, address) for pod, address in pods for claim in claims_of(pod)]
    # Whoever had it goes first, then the older pod.
    wanted.sort(
        key=lambda one: (
            holders.get(one[1]) != one[0]["metadata"]["uid"],
            one[0]["metadata"].get("creationTimestamp", ""),
            one[0]["metadata"]["uid"],
        )
    )
    settled = Settled([], [])
    for pod, claim, address in wanted:
        other = next((owner for owner, held, _ in settled.mappings if collide(claim, held)), None)
        if other is None:
            settled.mappings.append((pod, claim, address))
        else:
            settled.refused.append((pod, claim, other))
    return settled


@dataclass(slots=True)
class HostPorts:
    """`pods` gives the pods of this node with the address that each has now; empty for none."""

    kube: KubeClient
    events: Events
    address: str
    pods: Callable[[], Sequence[tuple[Object, str]]]
    changed: asyncio.Event
    every: float = 60.0
    _placeholders: dict[Claim, socket.socket] = field(default_factory=dict)
    _holders: dict[Claim, str] = field(default_factory=dict)
    _applied: list[Mapping] | None = None
    _neighbours: list[Object] = field(default_factory=list)

    async def run(self) -> None:
        """Keep the machine's rules as they should be: after each change, and every so often whatever happened."""
        while True:
            self.changed.clear()
            try:
                await self.sync()
            except (KipError, OSError) as error:
                _LOG.warning("host ports: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.every):
                    await self.changed.wait()

    async def sync(self) -> None:
        """Once. Raises HarnessError when the rules cannot be set."""
        pods = list(self.pods())
        if any(claims_of(pod) for pod, _ in pods):
            self._neighbours = await self._kubelet_pods()
        settled = settle([(pod, address) for pod, address in pods if address], self._holders)
        for pod, claim, other in settled.refused:
            self._refuse(pod, claim, f"pod {_name(other)} has it")
        held = [(pod, claim, address) for pod, claim, address in settled.mappings if self._hold(pod, claim)]
        wanted = sorted(Mapping(c.protocol, c.host_ip, c.port, address, c.target) for _, c, address in held)
        self._holders = {claim: pod["metadata"]["uid"] for pod, claim, _ in held}
        # Also when nothing has changed here: what somebody else did to the rules is put right. A machine that never
        # had a mapping is left alone.
        if wanted or self._applied is None or self._applied:
            await apply(wanted)
        for old in set(self._applied or []) - set(wanted):
            await forget_flows(old)
        self._applied = wanted
        for claim in [claim for claim in self._placeholders if claim not in self._holders]:
            self._placeholders.pop(claim).close()

    def _hold(self, pod: Object, claim: Claim) -> bool:
        """Whether the port is ours: a listener that nobody ever reaches keeps it from other programs of the machine."""
        for neighbour in self._neighbours:
            for other in claims_of(neighbour):
                if collide(claim, other):
                    self._refuse(pod, claim, f"pod {_name(neighbour)} on {neighbour['spec']['nodeName']} wants it, too")
                    if claim not in self._placeholders:
                        return False
                    why = f"port {other} of this machine leads to pod {_name(pod)} on a cell"
                    self.events.say(reference(neighbour), "HostPortConflict", why, warning=True)
        if claim in self._placeholders:
            return True
        kind = socket.SOCK_DGRAM if claim.protocol == "udp" else socket.SOCK_STREAM
        listener = socket.socket(socket.AF_INET, kind)
        try:
            listener.bind((claim.host_ip, claim.port))
            if kind == socket.SOCK_STREAM:
                listener.listen(1)
        except OSError as error:
            listener.close()
            self._refuse(pod, claim, error.strerror or str(error))
            return False
        self._placeholders[claim] = listener
        return True

    def _refuse(self, pod: Object, claim: Claim, why: str) -> None:
        message = f"hostPort {claim} is not mapped: {why}"
        self.events.say(reference(pod), "HostPortConflict", message, warning=True)

    async def _kubelet_pods(self) -> list[Object]:
        """Pods with host ports of the kubelet node that is the same machine, if there is one.

        The scheduler sees two nodes, and gives the same port to a pod of each.
        """
        nodes = (await self.kube.get(path_of("nodes")))["items"]
        found: list[Object] = []
        for node in nodes:
            addresses = [one["address"] for one in (node.get("status") or {}).get("addresses") or []]
            if node["metadata"]["name"] == self.events.node or self.address not in addresses:
                continue
            selector = f"fieldSelector=spec.nodeName%3D{node['metadata']['name']}"
            items: list[dict[str, Any]] = (await self.kube.get(f"{path_of('pods')}?{selector}"))["items"]
            found += [pod for pod in items if (pod.get("status") or {}).get("phase") in (None, "Pending", "Running")]
        return [{"apiVersion": "v1", "kind": "Pod", **pod} for pod in found if claims_of(pod)]


def _name(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
