"""Node-a puts an untranslated copy of what its pods send to ClusterIPs on the wire; the original is translated."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.machines.wire import network_interface
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    machine = lab.machines["node-a"]
    wire = network_interface(machine)
    pods = [place.address for place in lab.places if place.kind == "pod" and place.machine == "node-a"]
    with contextlib.ExitStack() as stack:
        for address in pods:
            route = json.loads(run_checked(machine, ["ip", "-j", "route", "get", address]))[0]
            tap = ["dev", route["dev"]]
            run_checked(machine, ["tc", "qdisc", "add", *tap, "clsact"])
            stack.callback(run_checked, machine, ["tc", "qdisc", "del", *tap, "clsact"])
            copy = ["action", "mirred", "egress", "mirror", "dev", wire]
            match = ["u32", "match", "ip", "dst", PLAN.services]
            run_checked(machine, ["tc", "filter", "add", *tap, "ingress", "protocol", "ip", *match, *copy])
        yield


FAULT = Fault(
    name="vips-leak",
    sentence="packets of node-a's pods to ClusterIPs leave the node untranslated, too",
    plant=_plant,
    kills=("SVC-18",),
    every_mode=True,
)
