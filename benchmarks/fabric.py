"""The simulated network alone: reconciling the lab's static plan from nothing, one change, and none."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator

from kip_conformance.infra.fabric.reconcile import Fabric, reconcile
from kip_conformance.infra.fabric.state import GroupRule, NetworkState, Route
from kip_conformance.infra.lab.control import Control, start_supervisor
from kip_conformance.infra.lab.plan import network_state
from kip_conformance.infra.lab.state import LabFolder
from kip_conformance.infra.targets.lab import remove_lab

from benchmarks.session import Session, new_run

__all__ = ["ABOUT", "NEEDS_ROOT", "run"]

ABOUT = "reconciling the network: from nothing, one change, none"
NEEDS_ROOT = True


def run(session: Session) -> None:
    """Adds the figures of every round, each in namespaces of its own."""
    nothing, plan = NetworkState(()), network_state()
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
