"""HostPorts: ports of a machine that lead to one pod on it, and where they should answer.

Such a pod is one of the row's own (pods.py); numbers are this worker's alone, so that no other row wants them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.protocol import Place, Protocol4
from kip_conformance.infra.workloads.pods import PodPlan
from kip_conformance.infra.workloads.reading import ClusterReader

__all__ = ["LOOPBACK", "MAPPED", "MAPPED_RANGE", "HostPort", "HostPorts"]

LOOPBACK = "127.0.0.1"
MAPPED = range(25000, 26000)
"""The numbers of HostPorts that lead to pods, apart from those that pods in the host network listen on."""
MAPPED_RANGE = f"{MAPPED.start}-{MAPPED.stop - 1}"
"""The same as rules of nftables have it."""


@dataclass(frozen=True, slots=True)
class HostPort:
    """Port `number` of the machine leads to `container_port` of the pod (Kubernetes API: ContainerPort).

    `host_ip` restricts it to one address of the machine; empty: it answers at each of them.
    """

    number: int
    protocol: Protocol4 = "tcp"
    container_port: int = 8080
    host_ip: str = ""

    def as_manifest(self) -> dict[str, Any]:
        """The entry of a container's `ports`."""
        restricted = {"hostIP": self.host_ip} if self.host_ip else {}
        entry = {"containerPort": self.container_port, "hostPort": self.number, "protocol": self.protocol.upper()}
        return {"name": f"{self.protocol}-{self.number}", **entry, **restricted}


class HostPorts:
    """Numbers for HostPorts, plans of pods that have some, and the targets at which they should answer."""

    def __init__(self, api: ClusterReader, places: Sequence[Place], numbers: Iterator[int]) -> None:
        self._api = api
        self._places = places
        self._numbers = numbers

    def number(self) -> int:
        """A port number that no other row uses as a HostPort at this time."""
        return next(self._numbers)

    def one_each(
        self, machines: Sequence[str], protocol: Protocol4 = "tcp", *, host_ip: str = ""
    ) -> dict[str, HostPort]:
        """A HostPort for a pod on each machine, by machine: none has the number of another.

        The HostPorts of a virtual node are on the machine of its provider, where another node's may be.
        """
        return {machine: HostPort(self.number(), protocol, host_ip=host_ip) for machine in machines}

    def plans(self, name: str, ports: Mapping[str, HostPort]) -> list[PodPlan]:
        """A pod with its HostPort on each machine, called NAME-MACHINE."""
        return [self.plan(f"{name}-{machine}", machine, port) for machine, port in ports.items()]

    def plan(self, name: str, machine: str, *ports: HostPort) -> PodPlan:
        """A pod with these HostPorts, bound to the machine."""
        return PodPlan(name, machine, container={"ports": [port.as_manifest() for port in ports]})

    def crossed(self, name: str, ports: Mapping[str, HostPort]) -> list[PodPlan]:
        """A pod on each machine with the HostPort of every other one that is the same: nodes with one status.hostIP.

        The scheduler sees two nodes where a provider runs on a node's machine. Called NAME-OTHER-MACHINE, those on
        kubelet nodes first: a provider looks at them when a pod of its own comes up.
        """
        where = {machine: self.machine_address(self._resident(machine)) for machine in ports}
        both = [(one, other) for one in ports for other in ports if one != other and where[one] == where[other]]
        both.sort(key=lambda pair: bool(self._resident(pair[0]).node))
        return [self.plan(f"{name}-{other}-{one}", one, ports[other]) for one, other in both]

    def host_of(self, machine: str) -> Place:
        """The machine that answers HostPorts of pods on `machine`: the one whose address is their status.hostIP.

        Raises HarnessError when there is no place on it.
        """
        address = self.machine_address(self._resident(machine))
        for place in self._places:
            if place.kind == "host" and address in place.sources:
                return place
        raise HarnessError(f"no place is a machine with address {address}, the status.hostIP of pods on {machine}")

    def _resident(self, machine: str) -> Place:
        return next(place for place in self._places if place.kind == "pod" and place.machine == machine)

    def machine_address(self, pod: Place) -> str:
        """The address at which a pod's HostPorts answer: its status.hostIP. Raises HarnessError when it has none."""
        address = self._api.pod(pod).host_ip
        if not address:
            raise HarnessError(f"pod {pod.name} has no status.hostIP: nobody can say where its HostPorts answer")
        return address

    def target(self, pod: Place, port: HostPort, *, at: str = "", name: str = "") -> ProbeTarget:
        """A pod's HostPort at address `at`, or else where it should answer; that pod alone may."""
        address = at or port.host_ip or self.machine_address(pod)
        title = name or f"hostport-of-{pod.name}"
        return ProbeTarget(title, address, port.number, port.protocol, (pod.name,), port.container_port)

    def targets(self, pods: Sequence[Place], ports: Mapping[str, HostPort]) -> list[ProbeTarget]:
        """Where the pods of `plans`, in that order, should answer."""
        return [self.target(pod, port) for pod, port in zip(pods, ports.values(), strict=True)]

    def forsaken(self, target: ProbeTarget) -> ProbeTarget:
        """The same address and port, where nobody may answer: only a refusal can be judged there, silence cannot."""
        return replace(target, peers=(), backend_port=None)
