"""The lab's address plan: which networks and machines there are and where. vpc.py makes the network that follows.

Ranges differ in size on purpose: equal ones hide bugs.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

__all__ = [
    "CONTROL_PLANE",
    "NODES",
    "ON_PREM_GATEWAY",
    "ON_PREM_HOST",
    "ON_PREM_NODE",
    "PLAN",
    "SUBNETS",
    "LabPlan",
    "NodePlan",
    "SiteHost",
    "SubnetPlan",
]


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A kubelet node: its machine's name and address, its subnet ("" on premises) and the range of its pods.

    With a public address it has a way to the region's services and to the world outside. `pod_mtu` in bytes is what
    its pods' interfaces are to have, 0 for what the CNI makes of it.
    """

    name: str
    address: str
    subnet: str
    pod_cidr: str
    has_public_address: bool = False
    pod_mtu: int = 0


@dataclass(frozen=True, slots=True)
class SubnetPlan:
    """A subnet of the VPC: its range, the letter of its zone, and the route table that it shares with others."""

    name: str
    cidr: str
    zone: str
    table: str


@dataclass(frozen=True, slots=True)
class SiteHost:
    """A machine of the site, by name, at its address on the site's own network."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class LabPlan:
    """All ranges of a lab. `dns` is the cluster DNS Service's address, `customer` the site's public one.

    `vxlan_id`, `vxlan_port` and `vxlan_mtu` (bytes: the tunnel's 1419, less 50 of headers) are those of the nodes' way
    to the site's pods (site.py).
    """

    vpc: str = "10.20.0.0/16"
    secondary: str = "100.64.0.0/20"
    peer: str = "172.28.0.0/18"
    peer_subnet: str = "172.28.8.0/22"
    public_a: str = "10.20.1.0/24"
    public_b: str = "10.20.2.0/25"
    private_a: str = "10.20.16.0/22"
    private_b: str = "10.20.32.0/28"
    shared_a: str = "100.64.4.0/23"
    on_prem: str = "192.168.50.0/24"
    on_prem_pods: str = "10.250.0.0/24"
    customer: str = "198.51.100.50"
    pods: str = "10.244.0.0/16"
    services: str = "10.96.0.0/16"
    dns: str = "10.96.0.10"
    domain: str = "cluster.local"
    vxlan_id: int = 50
    vxlan_port: int = 4789
    vxlan_mtu: int = 1369

    @property
    def kubernetes_service(self) -> str:
        """The address of `kubernetes.default`: the first of the Service range."""
        return str(IPv4Network(self.services).network_address + 1)

    @property
    def resolver(self) -> str:
        """The resolver of the VPC: base + 2 (Amazon VPC User Guide, Understanding Amazon DNS)."""
        return str(IPv4Network(self.vpc).network_address + 2)


PLAN = LabPlan()
CONTROL_PLANE = NodePlan("control-plane", "10.20.1.10", "public-a", "")
NODES = (
    NodePlan("node-a", "10.20.1.11", "public-a", "10.244.1.0/24", has_public_address=True),
    NodePlan("node-b", "10.20.16.12", "private-a", "10.244.2.0/25"),
)
"""The kubelet nodes in the VPC; the first is in a public subnet, the last in a private one."""

ON_PREM_GATEWAY = SiteHost("on-prem-gateway", "192.168.50.1")
ON_PREM_HOST = SiteHost("on-prem-host", "192.168.50.20")
ON_PREM_NODE = NodePlan("on-prem-node", "192.168.50.12", "", PLAN.on_prem_pods, pod_mtu=PLAN.vxlan_mtu)

SUBNETS = (
    SubnetPlan("public-a", PLAN.public_a, "a", "public"),
    SubnetPlan("public-b", PLAN.public_b, "b", "public"),
    SubnetPlan("private-a", PLAN.private_a, "a", "private-a"),
    SubnetPlan("private-b", PLAN.private_b, "b", "private"),
    SubnetPlan("shared-a", PLAN.shared_a, "a", "private"),
)
"""public: a route to the internet gateway. private-a: a NAT gateway and endpoints. private: no way out. private-b is
so small that it fills up; shared-a is in the VPC's secondary range."""
