"""Services over the resident pods, made for one row and deleted after it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi, object_path
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.protocol import Place, Protocol4
from kip_conformance.infra.workloads.reading import NodeView
from kip_conformance.infra.workloads.slices import endpoint_slice

__all__ = ["RESIDENTS", "PortPlan", "ServiceRef", "Services"]

RESIDENTS = "kip-conformance"
"""The namespace of the resident pods. A Service selects pods of its own namespace only, so it lives there too."""

_PORT = 80


@dataclass(frozen=True, slots=True)
class PortPlan:
    """A port of a Service to be made: the Service's own number, and the number (or name) at the endpoints.

    `node_port` is the NodePort to ask for; 0 leaves the choice to the API server.
    """

    port: int
    target: int | str
    protocol: Protocol4 = "tcp"
    node_port: int = 0

    @property
    def name(self) -> str:
        return f"{self.protocol}-{self.port}"


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """One port of a Service: where it answers and which places stand behind it. `node_port` is 0 when it has none.

    `target_port` is the port on which the endpoints themselves listen, `cluster_ip` is "None" for a headless Service;
    `budget` is the seconds that the cluster may take to answer everywhere.
    """

    name: str
    namespace: str
    protocol: Protocol4
    cluster_ip: str
    port: int
    node_port: int
    target_port: int
    endpoints: tuple[str, ...]
    budget: float

    def over(self, endpoints: Sequence[Place]) -> ServiceRef:
        """The same port with other places behind it, for what is expected after a change."""
        return replace(self, endpoints=tuple(place.name for place in endpoints))

    @property
    def port_name(self) -> str:
        """What the port is called in the Service and in its EndpointSlices."""
        return f"{self.protocol}-{self.port}"

    @property
    def target(self) -> ProbeTarget:
        """The ClusterIP, as something to probe."""
        return self.target_named("clusterip")

    def target_named(self, name: str) -> ProbeTarget:
        """The ClusterIP under another name, for a grid with several Services."""
        return ProbeTarget(
            name, self.cluster_ip, self.port, self.protocol, self.endpoints, backend_port=self.target_port
        )

    def host_names(self, domain: str) -> tuple[str, ...]:
        """The names under which pods of other namespaces find the Service; `domain` is that of cluster DNS."""
        qualified = f"{self.name}.{self.namespace}"
        return qualified, f"{qualified}.svc", f"{qualified}.svc.{domain}", f"{qualified}.svc.{domain}."

    def known_as(self, host: str) -> ProbeTarget:
        """The same port under a name that the client has to resolve first, as something to probe."""
        return ProbeTarget(host, host, self.port, self.protocol, self.endpoints, backend_port=self.target_port)

    def slice(self, places: Sequence[Place], *, name: str) -> dict[str, Any]:
        """An EndpointSlice for a Service without selector, to be created: these places stand behind this port."""
        return endpoint_slice(
            self.name,
            self.namespace,
            [place.address for place in places],
            self.target_port,
            protocol=self.protocol,
            port_name=self.port_name,
            name=f"{self.name}-{name}",
            nodes={place.address: place.node or place.machine for place in places},
        )

    def on(self, node: NodeView, *, name: str = "") -> ProbeTarget:
        """The NodePort at the InternalIP of `node`, as something to probe; named after the node by default."""
        if not self.node_port or not node.internal_ip:
            what = f"node {node.name} has no InternalIP" if self.node_port else f"Service {self.name} has no NodePort"
            raise HarnessError(f"{what}: there is nothing to probe")
        return ProbeTarget(
            name or f"nodeport-{node.name}",
            node.internal_ip,
            self.node_port,
            self.protocol,
            self.endpoints,
            backend_port=self.target_port,
        )


class Services:
    """Makes Services named after `prefix`, and deletes them all at the end of the block.

    `labels` are put on every object, so that whatever a killed run left behind is found; `selector` is what the
    resident pods of the cluster have in common, `budget` the propagation budget in seconds.
    """

    def __init__(
        self, kubeconfig: Path, *, prefix: str, labels: Mapping[str, str], selector: Mapping[str, str], budget: float
    ) -> None:
        self._api = KubeApi(kubeconfig)
        self._prefix = prefix
        self._labels = dict(labels)
        self._selector = dict(selector)
        self._budget = budget
        self._numbers = itertools.count(1)
        self._made: list[tuple[str, str]] = []

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        while self._made:
            self._api.delete("Service", *self._made.pop())

    def over(self, endpoints: Sequence[Place], protocol: Protocol4, *, is_node_port: bool = False) -> ServiceRef:
        """A Service whose endpoints are all the resident pods that `endpoints` lists; NodePorts are allocated.

        Raises HarnessError when the API server refuses it, or when the places do not share their first port.
        """
        ports = {place.ports[0] for place in endpoints}
        if len(ports) != 1:
            raise HarnessError(f"the endpoints of a Service must share a port; these have {sorted(ports) or 'none'}")
        spec = {"type": "NodePort"} if is_node_port else {}
        return self.make(endpoints, PortPlan(_PORT, ports.pop(), protocol), spec=spec)[0]

    def of(self, pod: Place, protocol: Protocol4, *, is_node_port: bool = False) -> ServiceRef:
        """A Service over one resident pod; a NodePort is allocated. Raises ApiRefusal."""
        plan, chosen = PortPlan(_PORT, pod.ports[0], protocol), {"kip-conformance/place": pod.name}
        return self.make([pod], plan, selector=chosen, spec={"type": "NodePort"} if is_node_port else {})[0]

    def make(
        self,
        endpoints: Sequence[Place],
        *ports: PortPlan,
        selector: Mapping[str, str] | None = None,
        namespace: str = RESIDENTS,
        name: str = "",
        spec: Mapping[str, Any] | None = None,
    ) -> tuple[ServiceRef, ...]:
        """A Service with these ports; returns one value for each, in order. `endpoints` are the places expected there.

        The selector is by default that of all resident pods; an empty one makes a Service without selector. `spec` is
        merged over the rest of the Service's spec. Raises ApiRefusal when the API server refuses it.
        """
        chosen = self._selector if selector is None else dict(selector)
        made = self._api.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {
                    "name": name or f"svc-{self._prefix}-{next(self._numbers)}",
                    "namespace": namespace,
                    "labels": self._labels,
                },
                "spec": {
                    "type": "ClusterIP",
                    **({"selector": chosen} if chosen else {}),
                    "ports": [
                        {
                            "name": port.name,
                            "protocol": port.protocol.upper(),
                            "port": port.port,
                            "targetPort": port.target,
                            **({"nodePort": port.node_port} if port.node_port else {}),
                        }
                        for port in ports
                    ],
                    **(spec or {}),
                },
            }
        )
        self._made.append((made["metadata"]["name"], namespace))
        return self._references(made, ports, endpoints)

    def change(self, service: ServiceRef, spec: Mapping[str, Any]) -> None:
        """JSON merge patch (RFC 7386) of the Service's spec."""
        self._api.patch("Service", service.name, {"spec": dict(spec)}, service.namespace)

    def drop_port(self, service: ServiceRef) -> None:
        """Take this port away from the Service; its other ports stay."""
        stored = self._api.get(object_path("Service", service.name, service.namespace))
        others = [port for port in stored["spec"]["ports"] if port["name"] != service.port_name]
        self.change(service, {"ports": others})

    def delete(self, service: ServiceRef) -> None:
        """Delete the Service now, with all its ports."""
        self._made = [each for each in self._made if each != (service.name, service.namespace)]
        self._api.delete("Service", service.name, service.namespace)

    def _references(
        self, made: Mapping[str, Any], ports: Sequence[PortPlan], endpoints: Sequence[Place]
    ) -> tuple[ServiceRef, ...]:
        stored = made["spec"]["ports"]
        return tuple(
            ServiceRef(
                name=made["metadata"]["name"],
                namespace=made["metadata"]["namespace"],
                protocol=port.protocol,
                cluster_ip=made["spec"].get("clusterIP", ""),
                port=port.port,
                node_port=int(entry.get("nodePort", 0)),
                target_port=port.target if isinstance(port.target, int) else endpoints[0].ports[0],
                endpoints=tuple(place.name for place in endpoints),
                budget=self._budget,
            )
            for port, entry in zip(ports, stored, strict=True)
        )
