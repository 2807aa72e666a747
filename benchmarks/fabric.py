"""The simulated network alone: that of the lab's nodes and growing VPCs, from nothing, one change, and none."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator

from kip_conformance.infra.fabric.reconcile import Fabric, reconcile
from kip_conformance.infra.fabric.state import (
    Association,
    Group,
    GroupRule,
    Interface,
    InternetGateway,
    NetworkState,
    Route,
    RouteTable,
    Subnet,
    Vpc,
)
from kip_conformance.infra.lab.control import Control, start_supervisor
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, PLAN
from kip_conformance.infra.lab.state import LabFolder
from kip_conformance.infra.targets.lab import remove_lab

from benchmarks.session import Session, new_run

__all__ = ["ABOUT", "NEEDS_ROOT", "SIZES", "instances", "run", "three_machines"]

SIZES = (6, 50, 250)
"""Instances in one VPC."""
_ONE_CHANGE = 300.0
"""Milliseconds at most for one change among 50 instances."""

ABOUT = "reconciling the network: from nothing, one change, none"
NEEDS_ROOT = True


def three_machines() -> NetworkState:
    """What the lab's nodes need: one VPC, pod ranges as routes to their nodes."""
    routes = tuple(Route(node.pod_cidr, node.name) for node in NODES)
    subnets = (Subnet("public-a", PLAN.public_a, "public"), Subnet("private-a", PLAN.private_a, "private"))
    tables = (RouteTable("public", routes), RouteTable("private", routes))
    return NetworkState(
        vpcs=(Vpc("main", (PLAN.vpc,), subnets, tables),),
        interfaces=tuple(
            Interface(node.name, node.name, node.subnet, (node.address,), ("nodes",), source_dest_check=False)
            for node in (CONTROL_PLANE, *NODES)
        ),
        groups=(Group("nodes", (GroupRule("all", PLAN.vpc), GroupRule("all", PLAN.pods))),),
    )


def run(session: Session) -> None:
    """Adds the figures of every round, each in namespaces of its own."""
    nothing, plan = NetworkState(()), three_machines()
    changes = {
        "three machines from nothing": (nothing, plan),
        "one rule in a security group": (plan, one_more_rule(plan)),
        "one route in a route table": (plan, one_more_route(plan)),
        "nothing to do": (plan, plan),
    }
    for _ in session.each_round("fabric"):
        with supervisor() as control:
            fabric = Fabric(control, control.folder.path / "fabric.json")
            for what, (before, after) in changes.items():
                reconcile(fabric, before)
                began = time.perf_counter()
                lines = reconcile(fabric, after)
                session.figures.add(f"fabric: {what}", (time.perf_counter() - began) * 1000, "ms")
                session.figures.note(f"fabric, lines: {what}", lines)
    for size in SIZES:
        grow(session, size)


def grow(session: Session, size: int) -> None:
    """Adds the figures of a VPC with `size` instances, where one more comes, goes, and a rule of all changes."""
    alone, more = instances(size), instances(size + 1)
    changes = {
        "from nothing": (NetworkState(()), alone),
        "one instance more": (alone, more),
        "one instance less": (more, alone),
        "one rule of all instances": (alone, one_more_rule(alone)),
    }
    for _ in session.each_round(f"fabric, {size} instances"):
        with supervisor() as control:
            fabric = Fabric(control, control.folder.path / "fabric.json")
            for what, (before, after) in changes.items():
                reconcile(fabric, before)
                began = time.perf_counter()
                reconcile(fabric, after)
                took = (time.perf_counter() - began) * 1000
                target = _ONE_CHANGE if size == 50 and what != "from nothing" else None
                session.figures.add(f"fabric, {size} instances: {what}", took, "ms", target=target)


def instances(number: int) -> NetworkState:
    """One VPC of two subnets with `number` instances, each with two private addresses and a public one.

    All are in a group that knows itself: whoever comes is made known to everybody.
    """
    names = [f"eni-{index:017x}" for index in range(number)]
    ranges = ("10.20.0", "10.20.128")
    interfaces = tuple(
        Interface(
            name,
            f"i-{index:017x}",
            ("a", "b")[index % 2],
            tuple(f"10.20.{128 * (index % 2) + 8 * second + 1 + index // 200}.{10 + index % 200}" for second in (0, 1)),
            ("nodes",),
        )
        for index, name in enumerate(names)
    )
    vpc = Vpc(
        "main",
        ("10.20.0.0/16",),
        tuple(Subnet(name, f"{base}.0/17", "public") for name, base in zip(("a", "b"), ranges, strict=True)),
        (RouteTable("public", (Route("0.0.0.0/0", "igw"),)),),
    )
    return NetworkState(
        (vpc,),
        interfaces,
        (Group("nodes", (GroupRule("all", "nodes"),)),),
        internet_gateways=(InternetGateway("igw", "main"),),
        associations=tuple(
            Association(f"203.0.{113 + index // 200}.{10 + index % 200}", one.name, one.addresses[0])
            for index, one in enumerate(interfaces)
        ),
    )


def one_more_rule(state: NetworkState) -> NetworkState:
    """The same with its first group letting one more port in."""
    group = state.groups[0]
    wider = dataclasses.replace(group, ingress=(*group.ingress, GroupRule("tcp", "198.51.100.0/24", (443, 443))))
    return dataclasses.replace(state, groups=(wider, *state.groups[1:]))


def one_more_route(state: NetworkState) -> NetworkState:
    """The same with one more route in its first route table."""
    vpc = state.vpcs[0]
    table = vpc.route_tables[0]
    longer = dataclasses.replace(table, routes=(*table.routes, Route("198.51.100.0/24", state.interfaces[0].name)))
    return dataclasses.replace(
        state, vpcs=(dataclasses.replace(vpc, route_tables=(longer, *vpc.route_tables[1:])), *state.vpcs[1:])
    )


@contextlib.contextmanager
def supervisor() -> Iterator[Control]:
    """A supervisor without machines; what it holds ends with this process."""
    folder = LabFolder.of(new_run())
    folder.path.mkdir(parents=True)
    control, lifeline = start_supervisor(folder)
    try:
        yield control
    finally:
        remove_lab(folder)
        os.close(lifeline)
