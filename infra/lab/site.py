"""The lab's site on premises: its network and machines around the cloud, and its nodes' way to the pods in the VPC.

The site is reached by the VPN connection of interconnect.py, whose tunnel ends at the gateway. A kubelet node there is
a node of the same cluster. Its pods' range is a route of the connection, but the pods in the VPC are nowhere that a
virtual private gateway leads to: a gateway's route table knows the VPC's own ranges only (Amazon VPC User Guide,
"Gateway route tables"). So the nodes carry what goes between the site and those pods in VXLAN from node to node, as
CNIs do between subnets; `kip-site` is the device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from kip_conformance.infra.cloud.outside import Outside, OutsideMachine, Program
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.state import Host, Lan
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.plan import NODES, ON_PREM_GATEWAY, ON_PREM_HOST, ON_PREM_NODE, LabPlan, NodePlan

__all__ = ["SITE", "SITE_LABEL", "join_pods", "joining", "with_site"]

SITE_LABEL, SITE = "site", "on-prem"
"""The label and taint of the site's nodes, and its value: nothing is scheduled there that does not ask."""

_DEVICE, _TABLE, _PRIORITY = "kip-site", 50, 500


def with_site(around: Outside, plan: LabPlan, prober: Sequence[str], node_files: Mapping[str, str] | None) -> Outside:
    """What is around the cloud, and the site: a gateway, a plain host that runs `prober`, and a node or none.

    `node_files` are files of the node by path; None: there is no node.
    """
    gateway = ON_PREM_GATEWAY.address
    to_pods = ((plan.on_prem_pods, ON_PREM_NODE.address), (plan.pods, ON_PREM_NODE.address))
    hosts = [
        Host(ON_PREM_GATEWAY.name, SITE, gateway, gateway="-", routes=() if node_files is None else to_pods),
        Host(ON_PREM_HOST.name, SITE, ON_PREM_HOST.address, gateway=gateway),
    ]
    machines = [
        OutsideMachine(ON_PREM_GATEWAY.name),
        OutsideMachine(ON_PREM_HOST.name, (Program("prober", tuple(prober)),)),
    ]
    if node_files is not None:
        hosts.append(Host(ON_PREM_NODE.name, SITE, ON_PREM_NODE.address, gateway=gateway))
        machines.append(OutsideMachine(ON_PREM_NODE.name, files=node_files))
    return dataclasses.replace(
        around,
        lans=(*around.lans, Lan(SITE, plan.on_prem)),
        hosts=(*around.hosts, *hosts),
        machines=(*around.machines, *machines),
        customers={**around.customers, plan.customer: ON_PREM_GATEWAY.name},
    )


def join_pods(control: Control, plan: LabPlan) -> None:
    """Set up the nodes' ends of the VXLAN. Raises HarnessError with the machine and what `ip` said."""
    for machine, lines in joining(plan).items():
        for program, text in (("ip", lines[0]), ("bridge", lines[1])):
            done = control.run([program, "-batch", "-"], machine=machine, stdin=text.encode())
            if done.returncode != 0:
                raise HarnessError(f"{machine}: {_DEVICE}: {done.stderr.decode(errors='replace').strip()}")


def joining(plan: LabPlan) -> dict[str, tuple[str, str]]:
    """By machine, what `ip` and `bridge` are told."""
    found = {ON_PREM_NODE.name: _end(plan, ON_PREM_NODE, NODES, ["{0.pod_cidr} via {0.address}"])}
    for node in NODES:
        rules = [
            f"rule add pref {_PRIORITY} from {node.pod_cidr} to {cidr} lookup {_TABLE}"
            for cidr in (plan.on_prem, plan.on_prem_pods)
        ]
        ways = [f"{cidr} via {{0.address}} table {_TABLE}" for cidr in (plan.on_prem, plan.on_prem_pods)]
        addresses, neighbours = _end(plan, node, (ON_PREM_NODE,), ways)
        found[node.name] = (addresses + "".join(f"{line}\n" for line in rules), neighbours)
    return found


def _end(plan: LabPlan, node: NodePlan, others: Sequence[NodePlan], ways: Sequence[str]) -> tuple[str, str]:
    """One end of the VXLAN: permanent neighbours, and routes to each of the others."""
    lines = [
        f"link add {_DEVICE} address {_mac(node)} mtu {plan.vxlan_mtu} type vxlan "
        f"id {plan.vxlan_id} dstport {plan.vxlan_port} local {node.address} nolearning",
        # What is translated on its way out has the node's own address.
        f"addr add {node.address}/32 dev {_DEVICE}",
        f"link set {_DEVICE} up",
    ]
    for other in others:
        lines.append(f"neigh replace {other.address} lladdr {_mac(other)} dev {_DEVICE} nud permanent")
        lines += [f"route add {way.format(other)} dev {_DEVICE} onlink" for way in ways]
    neighbours = [f"fdb append {_mac(other)} dev {_DEVICE} dst {other.address} self permanent" for other in others]
    return "\n".join(lines) + "\n", "\n".join(neighbours) + "\n"


def _mac(node: NodePlan) -> str:
    return ":".join(f"{part:02x}" for part in (0x02, 0xEE, *IPv4Address(node.address).packed))
