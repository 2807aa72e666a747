"""The provider is killed at random moments of its pods' lives: none is lost, none is started twice, nothing stays."""

from __future__ import annotations

import random
import signal
import time
from typing import Any

import pytest

from .world import NODE, PROVIDER_MACHINE

EVER = ("pending", "running", "shutting-down", "terminated", "stopping", "stopped")
HOST_PORT = 9300


@pytest.mark.parametrize("times", [5, pytest.param(50, marks=pytest.mark.nightly)])
def test_killed_at_any_moment_the_provider_loses_nothing_and_doubles_nothing(world, times):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    print(f"{times} times, seed {seed}")
    first = world.pod()  # with it come the node and the group of its cells, which stay
    world.wait_running(first)
    own = {nic["NetworkInterfaceId"] for one in world.instances(first) for nic in one["NetworkInterfaces"]}
    world.delete(first)
    # An interface goes a moment after its instance.
    world.until(lambda: not own & set(leavings(world)["interfaces"]), f"of the first pod, {own} is left")
    before = leavings(world)
    for number in range(times):
        ports = [{"containerPort": 8080, "hostPort": HOST_PORT}]
        pods = [world.pod() for _ in range(2)]
        pods.append(world.pod(containers=[{"name": "main", "image": "none", "ports": ports}]))
        kill(world, chance.uniform(0, 3))
        statuses = world.wait_running(*pods)
        for pod, status in zip(pods, statuses, strict=True):
            (instance,) = world.instances(pod, *EVER)
            assert status["podIP"] in addresses(instance), f"round {number}, seed {seed}"
        assert len({status["podIP"] for status in statuses}) == len(pods)
        for pod in pods:
            world.api.delete("Pod", pod["metadata"]["name"], "default")
        kill(world, chance.uniform(0, 3))
        world.until(lambda pods=pods: not any(world.get(pod) for pod in pods), f"round {number}: a pod is left")
        world.until(lambda pods=pods: not any(map(world.instances, pods)), f"round {number}: an instance is left")
    world.until(lambda: leavings(world) == before, f"seed {seed}: not left as it was before, {before}")


def kill(world, seconds: float) -> None:
    """After so many seconds; another is started at once."""
    moment = time.monotonic() + seconds
    world.until(lambda: time.monotonic() > moment, "time stands still")
    world.kill_provider(signal.SIGKILL)
    world.start_provider()


def addresses(instance: dict[str, Any]) -> list[str]:
    return [one["PrivateIpAddress"] for nic in instance["NetworkInterfaces"] for one in nic["PrivateIpAddresses"]]


def leavings(world) -> dict[str, Any]:
    """What a pod of this node may leave: instances, interfaces, groups, rules of HostPorts, a held port."""
    filters = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    instances = world.ec2.describe_instances(Filters=filters)["Reservations"]
    listens = world.control.run(["ss", "-Hltn", f"sport = :{HOST_PORT}"], machine=PROVIDER_MACHINE).stdout.decode()
    rules = world.control.run(["nft", "list", "ruleset", "ip"], machine=PROVIDER_MACHINE).stdout.decode()
    return {
        "instances": sorted(one["InstanceId"] for group in instances for one in group["Instances"]),
        "interfaces": sorted(
            one["NetworkInterfaceId"] for one in world.ec2.describe_network_interfaces()["NetworkInterfaces"]
        ),
        "groups": sorted(one["GroupName"] for one in world.ec2.describe_security_groups()["SecurityGroups"]),
        "host port": [line for line in (listens + rules).splitlines() if str(HOST_PORT) in line],
        "nodes": [one["metadata"]["name"] for one in world.api.list("Node") if one["metadata"]["name"] == NODE],
    }
