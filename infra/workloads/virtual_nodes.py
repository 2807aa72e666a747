"""Virtual nodes as the API shows them: whether they keep what is not theirs away from themselves. Nothing is changed.

Sources: "Kubernetes documentation, Well-Known Labels, Annotations and Taints"; Kip's node object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.kube import KubeApi, object_path

__all__ = ["VirtualNode", "virtual_node"]

_EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
_TAINT = "virtual-kubelet.io/provider"


@dataclass(frozen=True, slots=True)
class VirtualNode:
    """`taints` are KEY:EFFECT, `conditions` statuses by type, `pod_cidrs` what spec has of them.

    `address` is the InternalIP, `kubelet_port` where logs and exec are asked for there; 0 when nothing says.
    """

    name: str
    labels: Mapping[str, str]
    taints: tuple[str, ...]
    conditions: Mapping[str, str]
    pod_cidrs: tuple[str, ...]
    address: str = ""
    kubelet_port: int = 0

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """What is wrong with it, in words."""
        wrong = {
            "not Ready": self.conditions.get("Ready") != "True",
            "its network is said to be unavailable": self.conditions.get("NetworkUnavailable") == "True",
            f"no taint {_TAINT} with NoSchedule or NoExecute": not {f"{_TAINT}:NoSchedule", f"{_TAINT}:NoExecute"}
            & set(self.taints),
            f"no label {_EXCLUDED}": _EXCLUDED not in self.labels,
            f"pod CIDR {', '.join(self.pod_cidrs)}": bool(self.pod_cidrs),
        }
        return tuple(what for what, is_so in wrong.items() if is_so)


def virtual_node(kubeconfig: Path, name: str) -> VirtualNode:
    """The node with this name. Raises ApiRefusal when there is none, HarnessError when no API server answers."""
    node: dict[str, Any] = KubeApi(kubeconfig).get(object_path("Node", name))
    spec, status = node.get("spec") or {}, node.get("status") or {}
    return VirtualNode(
        name,
        node["metadata"].get("labels") or {},
        tuple(f"{one['key']}:{one['effect']}" for one in spec.get("taints") or ()),
        {one["type"]: one["status"] for one in status.get("conditions") or ()},
        tuple(spec.get("podCIDRs") or filter(None, [spec.get("podCIDR")])),
        next((one["address"] for one in status.get("addresses") or () if one["type"] == "InternalIP"), ""),
        ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port", 0),
    )
