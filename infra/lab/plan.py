"""The lab's address plan: which machines there are and where they are. vpc.py makes the network that follows.

Ranges differ in size on purpose: equal ones hide bugs.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

__all__ = ["CONTROL_PLANE", "NODES", "PLAN", "LabPlan", "NodePlan"]


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A kubelet node: its machine's name and address, its subnet and the range of its pods."""

    name: str
    address: str
    subnet: str
    pod_cidr: str


@dataclass(frozen=True, slots=True)
class LabPlan:
    """All ranges of a lab. `dns` is the cluster DNS Service's address."""

    vpc: str = "10.20.0.0/16"
    public_a: str = "10.20.1.0/24"
    private_a: str = "10.20.16.0/22"
    pods: str = "10.244.0.0/16"
    services: str = "10.96.0.0/16"
    dns: str = "10.96.0.10"
    domain: str = "cluster.local"

    @property
    def kubernetes_service(self) -> str:
        """The address of `kubernetes.default`: the first of the Service range."""
        return str(IPv4Network(self.services).network_address + 1)


PLAN = LabPlan()
CONTROL_PLANE = NodePlan("control-plane", "10.20.1.10", "public-a", "")
NODES = (
    NodePlan("node-a", "10.20.1.11", "public-a", "10.244.1.0/24"),
    NodePlan("node-b", "10.20.16.12", "private-a", "10.244.2.0/25"),
)
