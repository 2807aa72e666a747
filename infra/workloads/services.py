"""Services over the resident pods, made for one row and deleted after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.protocol import Place, Protocol4
from kip_conformance.infra.workloads.reading import NodeView

__all__ = ["RESIDENTS", "ServiceRef", "Services"]

RESIDENTS = "kip-conformance"
"""The namespace of the resident pods. A Service selects pods of its own namespace only, so it lives there too."""

_PORT = 80


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """A Service with one port: where it answers and which places stand behind it. `node_port` is 0 when it has none.

    `target_port` is the port on which the endpoints themselves listen; `budget` is the seconds that the cluster may
    take to answer everywhere.
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

    @property
    def target(self) -> ProbeTarget:
        """The ClusterIP, as something to probe."""
        return ProbeTarget(
            "clusterip", self.cluster_ip, self.port, self.protocol, self.endpoints, backend_port=self.target_port
        )

    def on(self, node: NodeView) -> ProbeTarget:
        """The NodePort at the InternalIP of `node`, as something to probe."""
        if not self.node_port or not node.internal_ip:
            what = f"node {node.name} has no InternalIP" if self.node_port else f"Service {self.name} has no NodePort"
            raise HarnessError(f"{what}: there is nothing to probe")
        return ProbeTarget(
            f"nodeport-{node.name}",
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
        self._made: list[ServiceRef] = []

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        while self._made:
            made = self._made.pop()
            self._api.delete("Service", made.name, made.namespace)

    def over(self, endpoints: Sequence[Place], protocol: Protocol4, *, is_node_port: bool = False) -> ServiceRef:
        """A Service whose endpoints are all the resident pods that `endpoints` lists; NodePorts are allocated.

        Raises HarnessError when the API server refuses it, or when the places do not share their first port.
        """
        ports = {place.ports[0] for place in endpoints}
        if len(ports) != 1:
            raise HarnessError(f"the endpoints of a Service must share a port; these have {sorted(ports) or 'none'}")
        target_port = ports.pop()
        name = f"svc-{self._prefix}-{len(self._made) + 1}"
        made = self._api.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": RESIDENTS, "labels": self._labels},
                "spec": {
                    "type": "NodePort" if is_node_port else "ClusterIP",
                    "selector": self._selector,
                    "ports": [
                        {"name": protocol, "protocol": protocol.upper(), "port": _PORT, "targetPort": target_port}
                    ],
                },
            }
        )
        spec: dict[str, Any] = made["spec"]
        reference = ServiceRef(
            name=name,
            namespace=RESIDENTS,
            protocol=protocol,
            cluster_ip=spec["clusterIP"],
            port=_PORT,
            node_port=int(spec["ports"][0].get("nodePort", 0)),
            target_port=target_port,
            endpoints=tuple(place.name for place in endpoints),
            budget=self._budget,
        )
        self._made.append(reference)
        return reference
