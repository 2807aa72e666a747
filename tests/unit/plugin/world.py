"""A target whose cluster is a file: for runs of the plugin that need no machine. Copied into the folder of such a run.

world.json says what goes wrong; events.txt tells what was asked of it, in order, one line an event.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault, HarnessError
from kip_conformance.infra.targets.plan import FOUNDATION
from kip_conformance.infra.targets.protocol import ClusterDescription, Place, PodRef

HERE = Path(__file__).parent.parent
MODES = ("iptables", "nftables")


def event(text: str) -> None:
    with (HERE / "events.txt").open("a") as stream:
        stream.write(f"{text}\n")


def told(key: str, default=None):
    path = HERE / "world.json"
    return (json.loads(path.read_text()) if path.exists() else {}).get(key, default)


def describe(run_id: str) -> ClusterDescription:
    places = tuple(
        Place(
            planned.name,
            planned.kind,
            planned.machine,
            f"10.0.0.{number}",
            (f"10.0.0.{number}",),
            (8080, 8081),
            "/s",
            None if planned.kind == "host" else PodRef("kip-conformance", planned.name, f"uid-{planned.name}"),
        )
        for number, planned in enumerate(FOUNDATION, 1)
        if planned.name not in told("absent", [])
    ) + tuple(
        Place(
            name, "pod", machine, address, (address,), (8080, 8081), "/s", PodRef("kip-conformance", name, f"u-{name}")
        )
        for name, machine, address in told("extra", [])
    )
    return ClusterDescription(
        run_id=run_id,
        target="fake",
        state=str(HERE),
        kubeconfig=str(HERE / "kubeconfig"),
        places=places,
        modes=MODES,
        features=tuple(told("features", ["exec", "node-port"])),
        versions={"kubernetes": "1.0"},
    )


class FakeCluster:
    def __init__(self, description):
        self.description = description
        self.machines = {}

    @property
    def places(self):
        return self.description.places

    @property
    def service_proxy(self):
        path = HERE / "mode.txt"
        return path.read_text() if path.exists() else "iptables"

    def set_service_proxy(self, mode):
        event(f"switch {mode}")
        if mode in told("switch_fails", []):
            raise HarnessError("the canary never answered")
        if mode not in told("stays", []):
            (HERE / "mode.txt").write_text(mode)

    def check_components(self):
        if (HERE / "dead.txt").exists():
            raise HarnessError("node-a: kubelet ended with 137")

    def check_residents(self):
        if told("crashed"):
            raise HarnessError("the resident pod of place node-b does not run: container prober is waiting")


class FakeTarget:
    name = "fake"
    modes = MODES

    def __init__(self, options):
        self.options = options

    def up(self, progress):
        event("up")
        if told("up") == "fault":
            raise EnvironmentFault("tcpdump is missing: apt-get install tcpdump")
        if told("up") == "bug":
            raise ValueError("no such thing")
        if told("up") == "interrupt":
            raise KeyboardInterrupt
        progress("etcd answers")
        return FakeCluster(describe(self.options.run_id))

    def attach(self, description):
        event(f"attach {os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
        return FakeCluster(description)

    def keep(self, description):
        event("keep")
        return [f"kip-conformance clean --run {description.run_id}"]

    def down(self, description):
        event("down")
        if told("down") == "fault":
            raise HarnessError("a process would not end")


def create(options):
    return FakeTarget(options)
