"""The cloud from its API down: a small VPC from nothing, and one VPC that grows to 250 instances.

At each size: how long instances take to run, one change from the call until the network has it, memory of an
instance, and packets from one instance to another through two NICs and the router.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.cloud.realize.machines import prepare_machine
from kip_conformance.infra.cloud.start import ec2_client, start_cloud
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, PLAN
from kip_conformance.infra.lab.vpc import make_vpc

from benchmarks.fabric import supervisor
from benchmarks.figures import Figures
from benchmarks.memory import kernel_memory, pss, supervisor_of
from benchmarks.session import Session

__all__ = ["ABOUT", "NEEDS_ROOT", "SIZES", "Growing", "at_percentile", "run"]

SIZES = (10, 50, 100, 250)
"""Instances in one VPC."""
ABOUT = "instances by the cloud's API: a small VPC from nothing, and one that grows to 250 instances"
NEEDS_ROOT = True

_IMAGE = "ami-0d00000000000debd"
_SMALL_TARGET = 5.0  # seconds
_CHANGES = 10
_AT_ONCE = 25
_PATIENCE = 600.0
_FLOOD = 2.0  # seconds
_PORT = 9000
_RULE = "tcp dport 443-443"

# Nobody reads: what does not fit is dropped behind the interface, where it has been counted.
_LISTEN = (
    "import socket, sys, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', int(sys.argv[1]))); "
    "print('ready', flush=True); time.sleep(3600)"
)
_SEND = """
import socket, sys, time
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
end = time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    for _ in range(200):
        s.send(b"x" * 64)
"""


def run(session: Session) -> None:
    """Adds the figures of every round, each in a cloud of its own."""
    for _ in session.each_round("cloud, 2 nodes and 4 instances"):
        took = small()
        session.figures.add("cloud: 2 nodes and 4 instances from nothing", took, "s", target=_SMALL_TARGET)
    for _ in session.each_round("cloud, growing"):
        with supervisor() as control:
            grow(Growing(control), session.figures)


def small() -> float:
    """Seconds from a supervisor to the lab's nodes and four more instances running in their VPC."""
    with supervisor() as control:
        for node in (CONTROL_PLANE, *NODES):
            prepare_machine(control.folder, node.name, {})
        began = time.perf_counter()
        ec2 = ec2_client(start_cloud(control))
        made = make_vpc(ec2, PLAN)
        subnet = made.subnets["public-a"]
        ids = [*made.instances.values(), *_launch(ec2, subnet, made.group, 4)]
        _wait_running(ec2, ids)
        return time.perf_counter() - began


@dataclass
class Growing:
    """A VPC whose instances are all in one group that knows itself: whoever comes is made known to everybody."""

    control: Control

    def __post_init__(self) -> None:
        self.ec2 = ec2_client(start_cloud(self.control))
        vpc = self.ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
        self.subnet: str = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.60.0.0/22")["Subnet"]["SubnetId"]
        self.group: str = self.ec2.create_security_group(VpcId=vpc, GroupName="all", Description="all")["GroupId"]
        self.ec2.authorize_security_group_ingress(
            GroupId=self.group,
            IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": self.group}]}],
        )
        self.ids: list[str] = []

    def launch(self, number: int) -> float:
        """So many instances more; returns the seconds until the API says that all of them run."""
        began = time.perf_counter()
        made = [
            one
            for at in range(0, number, _AT_ONCE)
            for one in _launch(self.ec2, self.subnet, self.group, min(_AT_ONCE, number - at))
        ]
        _wait_running(self.ec2, made)
        self.ids += made
        return time.perf_counter() - began

    def settle(self) -> None:
        """Until no instance boots any more: what is measured next has the machine for itself."""
        _until(lambda: not self._booting(), "instances still boot")

    def change(self) -> float:
        """Milliseconds from a call that opens a port to everybody until every NIC has it, and then it is taken back."""
        rule = {"GroupId": self.group, "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.60.0.0/16"}
        took = self._applied(lambda: self.ec2.authorize_security_group_ingress(**rule), is_there=True)
        self._applied(lambda: self.ec2.revoke_security_group_ingress(**rule), is_there=False)
        return took * 1000

    def packets(self) -> float:
        """Packets of 64 bytes a second that arrive at one instance from another."""
        (address,) = [
            one["PrivateIpAddress"]
            for found in self.ec2.describe_instances(InstanceIds=[self.ids[1]])["Reservations"]
            for one in found["Instances"]
        ]
        python = ["/usr/bin/python3", "-I", "-c"]
        with _held(self.control, [*python, _LISTEN, str(_PORT)], self.ids[1]):
            before = self._received()
            began = time.perf_counter()
            done = self.control.run([*python, _SEND, address, str(_PORT), str(_FLOOD)], machine=self.ids[0])
            took = time.perf_counter() - began
            if done.returncode != 0:
                raise HarnessError(f"{self.ids[0]}: {done.stderr.decode(errors='replace').strip()}")
            return (self._received() - before) / min(took, _FLOOD)

    def _received(self) -> int:
        path = "/sys/class/net/eth0/statistics/rx_packets"
        return int(self.control.run(["cat", path], machine=self.ids[1]).stdout)

    def _booting(self) -> bool:
        boots = [one for one in self.control.status()["daemons"] if one["name"] == "boot"]
        return any(one["exit"] is None for one in boots)

    def _applied(self, call: Callable[[], Any], *, is_there: bool) -> float:
        """Seconds until the network's memory of what it holds has the rule, or has it no more.

        It is read when it is a new one only. That it is new is not enough: an earlier change may have come late.
        """
        memory = self.control.folder.path / "fabric.json"
        seen, began = _stamp(memory), time.perf_counter()

        def is_in_force() -> bool:
            nonlocal seen
            if (now := _stamp(memory)) == seen:
                return False
            seen = now
            return (_RULE in memory.read_text()) is is_there

        call()
        _until(is_in_force, "the change is not in force", pause=0.001)
        return time.perf_counter() - began


def grow(growing: Growing, figures: Figures) -> None:
    """Adds the figures of one VPC at each size."""
    folder = growing.control.folder.path
    empty, empty_kernel = sum(pss(supervisor_of(folder)).values()), kernel_memory()
    for size in SIZES:
        name, before = f"cloud, {size} instances", len(growing.ids)
        took = growing.launch(size - before)
        figures.add(f"{name}: all running, for each of the last {size - before}", took * 1000 / (size - before), "ms")
        growing.settle()
        figures.add(f"{name}: one more runs after", growing.launch(1) * 1000, "ms")
        growing.settle()
        _forget(growing)
        times = [growing.change() for _ in range(_CHANGES)]
        figures.add(f"{name}: one change, median of {_CHANGES}", statistics.median(times), "ms")
        figures.add(f"{name}: one change, p95 of {_CHANGES}", at_percentile(times, 95), "ms")
        figures.add(f"{name}: packets of 64 bytes", growing.packets(), "/s")
        ours = sum(pss(supervisor_of(folder)).values())
        figures.add(f"{name}: our processes, for each", (ours - empty) / size, "MiB")
        figures.add(f"{name}: the kernel, for each", (kernel_memory() - empty_kernel) / size, "MiB")


def at_percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _forget(growing: Growing) -> None:
    """Terminate the instance that came last, and wait until it has gone."""
    gone = growing.ids.pop()
    growing.ec2.terminate_instances(InstanceIds=[gone])
    growing.ec2.get_waiter("instance_terminated").wait(
        InstanceIds=[gone], WaiterConfig={"Delay": 1, "MaxAttempts": int(_PATIENCE)}
    )


def _launch(ec2: Any, subnet: str, group: str, number: int) -> list[str]:
    made = ec2.run_instances(
        ImageId=_IMAGE, InstanceType="t3.small", MinCount=number, MaxCount=number, SubnetId=subnet,
        SecurityGroupIds=[group],
    )  # fmt: skip
    return [one["InstanceId"] for one in made["Instances"]]


def _wait_running(ec2: Any, ids: Sequence[str]) -> None:
    def all_run() -> bool:
        pages = ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
        return all(one["State"]["Name"] == "running" for page in pages for one in page["Instances"])

    _until(all_run, "instances do not run", pause=0.02)


def _until(is_so: Callable[[], bool], otherwise: str, *, pause: float = 0.05) -> None:
    """Raises HarnessError when it is not so for too long."""
    deadline = time.monotonic() + _PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise HarnessError(f"{otherwise} after {_PATIENCE:g} s")
        time.sleep(pause)


def _stamp(path: Path) -> tuple[int, int]:
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns
    return 0, 0


@contextlib.contextmanager
def _held(control: Control, argv: list[str], machine: str) -> Iterator[None]:
    """A program that runs for the length of the block, from the moment that it has said something."""
    held = control.open(argv, machine=machine, stderr=sys.stderr.fileno())
    try:
        if not os.read(held.stdout, 64):
            raise HarnessError(f"{machine}: {argv[0]} ended at once")
        yield
    finally:
        held.close()
