"""The VPC's router takes what comes in from one gateway to any other: the site and the peered VPC see each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.fabric.config import HOP
from kip_conformance.infra.fabric.names import router_namespace, vpn_gateway_namespace
from kip_conformance.infra.fabric.router import OWN_TABLE
from kip_conformance.infra.faults.cell_tampering import ec2_of
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.machine import LabMachine
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    gateway = ec2_of(lab).describe_vpn_gateways()["VpnGateways"][0]["VpnGatewayId"]
    router = LabMachine("router of VPC main", (), lab.control, router_namespace("main"))
    end = LabMachine("VPN gateway", (), lab.control, vpn_gateway_namespace(gateway))
    # The table has the way to all that is behind gateways, for what the router itself says. Others have tables that
    # decide by the subnet that a packet comes from.
    ways = ((PLAN.on_prem, PLAN.peer), (PLAN.peer, PLAN.on_prem))
    rules = [["from", source, "to", to, "pref", "120", "lookup", str(OWN_TABLE)] for source, to in ways]
    route = [PLAN.peer, "via", HOP, "dev", "vpc", "onlink"]
    for rule in rules:
        run_checked(router, ["ip", "rule", "add", *rule])
    run_checked(end, ["ip", "route", "add", *route])
    try:
        yield
    finally:
        run_checked(end, ["ip", "route", "del", *route])
        for rule in rules:
            run_checked(router, ["ip", "rule", "del", *rule])


FAULT = Fault(
    name="peering-is-transitive",
    sentence="the VPC's router carries packets between the site and the peered VPC",
    plant=_plant,
    kills=("PEE-02",),
    on_site=True,
)
