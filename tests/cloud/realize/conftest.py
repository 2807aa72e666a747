"""A whole cloud on a bare supervisor: API, services around instances, and the process that makes machines of them."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from kip_conformance.infra.cloud.start import ec2_client, start_cloud
from kip_conformance.infra.lab.control import Control

IMAGE = "ami-0d00000000000debd"
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)"


@dataclass
class Cloud:
    """The cloud, its client, and one VPC with one subnet. What instances are called here is their id."""

    control: Control
    url: str
    ec2: Any = None
    vpc: str = ""
    subnet: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.ec2 = ec2_client(self.url)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
        self.subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.30.1.0/24")["Subnet"]["SubnetId"]

    def group(self, *ports: int, source: str = "10.30.0.0/16") -> str:
        """A new security group that admits TCP to these ports."""
        name = f"group-{next(self._numbers)}"
        made: str = self.ec2.create_security_group(VpcId=self.vpc, GroupName=name, Description=name)["GroupId"]
        for port in ports:
            self.ec2.authorize_security_group_ingress(
                GroupId=made, IpProtocol="tcp", FromPort=port, ToPort=port, CidrIp=source
            )
        return made

    def run(self, count: int = 1, *, groups: tuple[str, ...] = (), script: str = "", **options: Any) -> list[str]:
        """New instances; returns their ids once the API has them, pending."""
        made = self.ec2.run_instances(
            ImageId=IMAGE,
            InstanceType="t3.small",
            MinCount=count,
            MaxCount=count,
            SubnetId=self.subnet,
            UserData=f"#!/bin/sh\n{script}\n",
            **({"SecurityGroupIds": list(groups)} if groups else {}),
            **options,
        )
        return [one["InstanceId"] for one in made["Instances"]]

    def describe(self, *ids: str) -> list[dict[str, Any]]:
        found = self.ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
        by_id = {one["InstanceId"]: one for group in found for one in group["Instances"]}
        return [by_id[one] for one in ids]

    def wait(self, state: str, *ids: str) -> list[str]:
        """Until all are in this state; returns their private addresses."""
        self.until(lambda: all(one["State"]["Name"] == state for one in self.describe(*ids)), f"{ids} are not {state}")
        return [one.get("PrivateIpAddress", "") for one in self.describe(*ids)]

    def console(self, instance: str) -> str:
        said: str = self.ec2.get_console_output(InstanceId=instance).get("Output", "")
        return said

    def wait_booted(self, *ids: str) -> None:
        self.until(lambda: all("boot: finished" in self.console(one) for one in ids), "user data has not ended")

    def reaches(self, client: str, address: str, port: int) -> bool:
        done = self.control.run([sys.executable, "-I", "-c", _CONNECT, address, str(port)], machine=client)
        return done.returncode == 0

    def namespaces(self) -> str:
        """The names of all network namespaces of the cloud."""
        return self.control.run(["ls", "/run/netns"]).stdout.decode()

    def until(self, is_so: Callable[[], bool], otherwise: str, *, within: float = 30.0) -> None:
        deadline = time.monotonic() + within
        while not is_so():
            self.control.check_daemons()
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.02)


@pytest.fixture(scope="session")
def cloud(supervised) -> Iterator[Cloud]:
    with supervised() as control:
        yield Cloud(control, start_cloud(control))


@pytest.fixture(scope="session")
def cloud_at() -> type[Cloud]:
    """Cloud itself, for a supervisor of a test's own."""
    return Cloud
