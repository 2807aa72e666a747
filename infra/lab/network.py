"""The pieces of a lab's network as something to look into: the NICs of two machines, and the routers between them."""

from __future__ import annotations

from kip_conformance.infra.fabric.names import nic_namespace, router_namespace
from kip_conformance.infra.fabric.state import NetworkState
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.machine import LabMachine
from kip_conformance.infra.targets.protocol import NetworkPoint

__all__ = ["points_between"]


def points_between(control: Control, state: NetworkState, client: str, server: str) -> tuple[NetworkPoint, ...]:
    """What lies between two machines of the network, in the order of the way; nothing for one that is not in it."""
    nics = {interface.machine: interface for interface in reversed(state.interfaces)}
    if client == server or client not in nics or server not in nics:
        return ()
    routers = dict.fromkeys(state.vpc_of(nics[machine]).name for machine in (client, server))

    def piece(name: str, where: str, owner: str, namespace: str) -> NetworkPoint:
        return NetworkPoint(name, where, owner, LabMachine(f"{name} of {where}", (), control, namespace))

    def nic(machine: str) -> NetworkPoint:
        return piece("NIC", machine, "cloud network (NIC, security group)", nic_namespace(nics[machine].name))

    return (
        nic(client),
        *(piece("router", f"VPC {vpc}", "cloud network (routes)", router_namespace(vpc)) for vpc in routers),
        nic(server),
    )
