"""Cells on a bare supervisor: the cloud, a machine that serves the agent and images, instances that become cells."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kip_conformance.infra.cell import archive
from kip_conformance.infra.cell.user_data import CellSettings, render
from kip_conformance.infra.cloud.start import ec2_client, start_cloud
from kip_conformance.infra.fabric.names import machine_namespace
from kip_conformance.infra.lab.binaries.packages import unpacked_binary
from kip_conformance.infra.lab.binaries.provide import provide
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.images import provide_images
from kip_conformance.infra.lab.pki import Authority
from kip_conformance.infra.lab.plan import CONTROL_PLANE

from .client import AgentClient

IMAGE = "ami-0d00000000000debd"
REGISTRY_PORT, WEB_PORT = 5000, 8000


@dataclass
class Cell:
    """One instance and its agent."""

    world: World
    instance: str
    address: str
    pod_address: str
    agent: AgentClient

    def run(self, *argv: str) -> str:
        """On the machine; its output."""
        done = self.world.control.run(argv, machine=self.instance)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.agent.get("/v1/ping").status == 200
        return False

    def console(self) -> str:
        return self.world.console(self.instance)

    def wait(self, is_so: Callable[[dict[str, Any]], bool], within: float = 60.0) -> dict[str, Any]:
        """The first status that is so; its status part, with the events beside it."""
        deadline, after = time.monotonic() + within, 0
        while True:
            told = self._status(after)
            found = {**told["status"], "events": told["events"], "version": told["version"]}
            if told["uid"] and is_so(found):
                return found
            after = told["version"]
            assert time.monotonic() < deadline, json.dumps(found, indent=1) + self.console()

    def _status(self, after: int) -> dict[str, Any]:
        try:
            return self.agent.status(after, 5)
        except OSError:  # an agent that was killed comes back
            return {"version": after, "uid": "", "status": {}, "events": []}

    def running(self, within: float = 60.0) -> dict[str, Any]:
        return self.wait(lambda one: all("running" in c["state"] for c in one["containerStatuses"]), within)

    def ready(self, within: float = 60.0) -> dict[str, Any]:
        return self.wait(lambda one: is_true(one, "Ready"), within)


def is_true(status: dict[str, Any], condition: str) -> bool:
    return any(one["type"] == condition and one["status"] == "True" for one in status["conditions"])


@dataclass
class World:
    """A VPC with one subnet, and the machine `server` with a web server and a registry."""

    control: Control
    url: str
    authority: Authority
    images: dict[str, str]
    ec2: Any = None
    subnet: str = ""
    group: str = ""
    server: str = ""
    server_address: str = ""
    version: str = ""
    sha256: str = ""
    tools: Any = None
    _hosts: Iterator[int] = field(default_factory=lambda: itertools.count(20))
    _uids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def until(self, is_so: Callable[[], bool], otherwise: str, *, within: float = 60.0) -> None:
        deadline = time.monotonic() + within
        while not is_so():
            self.control.check_daemons()
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.02)

    def console(self, instance: str) -> str:
        said: str = self.ec2.get_console_output(InstanceId=instance).get("Output", "")
        return said

    def wait_said(self, instance: str, text: str) -> None:
        """Until the text is on the instance's console; one that never comes tells what became of the instance."""
        try:
            self.until(lambda: text in self.console(instance), f"nobody says {text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}: instance {self.state(instance)}\n{self.console(instance)}") from None

    def state(self, instance: str) -> str:
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        why = found.get("StateReason", {}).get("Message", "")
        return f"{found['State']['Name']} ({why})" if why else found["State"]["Name"]

    def launch(self, user_data: str, *addresses: str) -> str:
        """An instance with these addresses; returns at once."""
        listed = [{"PrivateIpAddress": one, "Primary": not number} for number, one in enumerate(addresses)]
        interface = {
            "DeviceIndex": 0,
            "SubnetId": self.subnet,
            "Groups": [self.group],
            "PrivateIpAddresses": listed,
        }
        made = self.ec2.run_instances(
            ImageId=IMAGE,
            InstanceType="t3.small",
            MinCount=1,
            MaxCount=1,
            UserData=user_data,
            NetworkInterfaces=[interface],
        )
        instance: str = made["Instances"][0]["InstanceId"]
        return instance

    def settings(self, address: str, pod_address: str, **changes: Any) -> CellSettings:
        name = f"cell-{address}"
        self.authority.issue(name, name, names=[address])
        pki = self.authority.folder
        made: dict[str, Any] = {
            "version": self.version,
            "url": f"http://{self.server_address}:{WEB_PORT}",
            "sha256": self.sha256,
            "ca": (pki / "ca.crt").read_text(),
            "certificate": (pki / f"{name}.crt").read_text(),
            "key": (pki / f"{name}.key").read_text(),
            "node_name": "kip-node",
            "pod_address": pod_address,
            "vpc_cidrs": ("10.20.0.0/16",),
            "registry_ca": (pki / "ca.crt").read_text(),
        }
        return CellSettings(**{**made, **changes})

    def offer(self, address: str, port: int = 6421) -> int:
        """A port of 127.0.0.1 that leads to the address, from the machine `server`."""
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            argv = [sys.executable, "-m", "kip_conformance.infra.lab.forwarder", machine_namespace(self.server)]
            self.control.daemon(f"to-{address}-{port}", [*argv, address, str(port)], listen=listener.fileno())
            return int(listener.getsockname()[1])

    def cell(self, *, has_pod_network: bool = True, **changes: Any) -> Cell:
        """A new cell whose agent answers."""
        number = next(self._hosts)
        address, pod_address = f"10.20.1.{number}", f"10.20.2.{number}" if has_pod_network else ""
        settings = self.settings(address, pod_address, **changes)
        instance = self.launch(render(settings), *(one for one in (address, pod_address) if one))
        made = self.attach(instance, address, pod_address, self.offer(address))
        try:
            self.until(made.answers, "the agent does not answer")
        except AssertionError as error:
            raise AssertionError(f"{error}: instance {self.state(instance)}\n{made.console()}") from None
        return made

    def attach(self, instance: str, address: str, pod_address: str, port: int) -> Cell:
        return Cell(self, instance, address, pod_address, AgentClient(port, address, self.authority.folder))

    def end(self, *instances: str) -> None:
        self.ec2.terminate_instances(InstanceIds=list(instances))

    def image(self, name: str) -> str:
        return f"{self.server_address}:{REGISTRY_PORT}/{name}@{self.images[name]}"

    def pod(self, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
        """A pod of the prober's image; what is not said runs a shell that sleeps."""
        number = next(self._uids)
        made = []
        for place, given in enumerate(containers or ({},)):
            container = {"name": f"c{place}", "image": self.image("prober"), "command": ["sleep", "1000000"]}
            made.append({**container, **given})
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{number}", "namespace": "default", "uid": f"uid-{number}"},
            "spec": {"containers": made, "terminationGracePeriodSeconds": 1, **spec},
        }


@pytest.fixture(scope="session")
def world(supervised) -> Iterator[World]:
    with supervised() as control:
        tools = provide(None, print)
        images = provide_images(tools, print)
        authority = Authority.create(control.folder.path / "cell-pki", "cells under test")
        authority.issue("provider", "provider")
        made = World(control, start_cloud(control), authority, dict(images.digests), tools=tools)
        _make_network(made)
        _serve(made, images.registry_root)
        yield made


def _make_network(world: World) -> None:
    ec2 = world.ec2 = ec2_client(world.url)
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    world.subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.0.0/22")["Subnet"]["SubnetId"]
    world.group = ec2.create_security_group(VpcId=vpc, GroupName="cells", Description="cells")["GroupId"]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.20.0.0/16"}]}
    ec2.authorize_security_group_ingress(GroupId=world.group, IpPermissions=[everything])


def _serve(world: World, registry_root: Path) -> None:
    """The machine `server`: it serves the agent's archive and the lab's images."""
    folder = world.control.folder.path
    path, world.sha256 = archive.build(folder / "web")
    world.version = path.name.removeprefix("itzo-")
    world.server_address = CONTROL_PLANE.address
    world.server = world.launch("#!/bin/sh\ntrue\n", world.server_address)
    world.until(lambda: "boot: finished" in world.console(world.server), "the server has not booted")
    web = ["/usr/bin/python3", "-m", "http.server", str(WEB_PORT), "--directory", str(folder / "web")]
    world.control.daemon("web", web, machine=world.server)
    world.authority.issue("registry", "registry", names=[world.server_address])
    pki = world.authority.folder
    tls = {"certificate": f"{pki}/registry.crt", "key": f"{pki}/registry.key"}
    storage = {"filesystem": {"rootdirectory": str(registry_root)}, "maintenance": {"readonly": {"enabled": True}}}
    listen = {"addr": f"{world.server_address}:{REGISTRY_PORT}", "tls": tls}
    config = {"version": "0.1", "log": {"level": "warn"}, "storage": storage, "http": listen}
    (folder / "registry.json").write_text(json.dumps(config))
    program = unpacked_binary("docker-registry", "docker-registry", print)
    world.control.daemon("registry", [str(program), "serve", str(folder / "registry.json")], machine=world.server)
    for port in (WEB_PORT, REGISTRY_PORT):
        listening = ["sh", "-c", f"ss -ltn | grep -q ':{port} '"]
        world.until(
            lambda what=listening: world.control.run(what, machine=world.server).returncode == 0,  # type: ignore[misc]
            f"nothing listens on {port}",
        )


@pytest.fixture
def cell(world) -> Iterator[Cell]:
    """A fresh cell without a pod."""
    made = world.cell()
    yield made
    world.end(made.instance)
