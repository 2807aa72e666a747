"""A cloud with the region's services and registries, and a VPC with a public and a private subnet in it."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kip_conformance.infra.cloud.client import CloudClient
from kip_conformance.infra.cloud.region.world import PublicImages
from kip_conformance.infra.cloud.start import REGION, cloud_client, ec2_client, region_world, start_cloud
from kip_conformance.infra.lab.binaries.packages import unpacked_binary
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.images.oci import layer_of, write_image
from kip_conformance.infra.targets.protocol import Completed

from .registry_clients import HOST, skopeo

_RESOLVE = """
import os, dns.resolver
asked = dns.resolver.Resolver()
asked.lifetime = 2.5
if os.environ.get("SERVER"): asked.nameservers = [os.environ["SERVER"]]
try:
    found = asked.resolve(os.environ["NAME"], tcp=os.environ["TRANSPORT"] == "tcp", search=False)
    show(" ".join(one.address for one in found))
except Exception as error:
    show(type(error).__name__)
"""
IMAGE = "ami-0d00000000000debd"


@dataclass
class Region:
    """The cloud, and one VPC: `public` has an internet gateway, `private` has no way out."""

    control: Control
    url: str
    ec2: Any = None
    vpc: str = ""
    subnets: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.ec2 = ec2_client(self.url)
        self.vpc = self.add_vpc("10.40.0.0/16")
        self.add_subnet("public", self.vpc, "10.40.1.0/24")
        self.add_subnet("private", self.vpc, "10.40.16.0/22")
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.ec2.create_route(RouteTableId=self.tables["public"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)

    @property
    def cloud(self) -> CloudClient:
        return CloudClient(self.url)

    @property
    def ca(self) -> Path:
        return self.control.folder.pki / "ca.crt"

    def add_vpc(self, cidr: str) -> str:
        made: str = self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        self.ec2.modify_vpc_attribute(VpcId=made, EnableDnsHostnames={"Value": True})
        return made

    def add_subnet(self, name: str, vpc: str, cidr: str) -> None:
        self.subnets[name] = self.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"]
        self.tables[name] = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=self.tables[name], SubnetId=self.subnets[name])
        group = self.ec2.create_security_group(VpcId=vpc, GroupName=name, Description=name)["GroupId"]
        self.groups[name] = group
        self.ec2.authorize_security_group_ingress(
            GroupId=group, IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp="10.0.0.0/8"
        )

    def machine(self, subnet: str, **options: Any) -> str:
        """A new instance's id, once it has booted; in the public subnet with a public address."""
        made = self.ec2.run_instances(
            ImageId=IMAGE, InstanceType="t3.small", MinCount=1, MaxCount=1,
            NetworkInterfaces=[
                {
                    "DeviceIndex": 0, "SubnetId": self.subnets[subnet], "Groups": [self.groups[subnet]],
                    "AssociatePublicIpAddress": subnet == "public",
                }
            ],
            **options,
        )  # fmt: skip
        identifier: str = made["Instances"][0]["InstanceId"]
        self.until(lambda: "boot: finished" in self.console(identifier), f"{identifier} does not boot")
        return identifier

    def console(self, instance: str) -> str:
        said: str = self.ec2.get_console_output(InstanceId=instance).get("Output", "")
        return said

    def describe(self, instance: str) -> dict[str, Any]:
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
        one: dict[str, Any] = found[0]["Instances"][0]
        return one

    def client(self, service: str) -> Any:
        """A client on this host, as the operator's."""
        return cloud_client(service, self.url)

    def run(self, machine: str, *argv: str, timeout: float = 30.0, **env: str) -> Completed:
        """A program on a machine, with what docs/cloud.md says that it needs in its environment."""
        told = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "AWS_DEFAULT_REGION": REGION,
            "AWS_CA_BUNDLE": str(self.ca), "AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "lab",
            "AWS_MAX_ATTEMPTS": "1", **env,
        }  # fmt: skip
        return self.control.run(
            argv, machine=machine, timeout=timeout, env={name: value for name, value in told.items() if value}
        )

    def python(self, machine: str, text: str, **env: str) -> Any:
        """What a program prints as JSON; `boto3` and `show` are there, and `quick` clients do not wait long."""
        head = (
            "import boto3, json, socket, urllib.request; from botocore.config import Config\n"
            "def show(value): print(json.dumps(value))\n"
            "quick = Config(connect_timeout=1.5, read_timeout=10, retries={'total_max_attempts': 1})\n"
        )
        done = self.run(machine, sys.executable, "-c", head + text, **env)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        return json.loads(done.stdout)

    def resolved(self, machine: str, name: str, server: str = "", transport: str = "udp") -> str:
        """The only address that a name has, by the machine's own resolver or another; the failure's name otherwise."""
        return str(self.python(machine, _RESOLVE, NAME=name, SERVER=server, TRANSPORT=transport))

    def until(self, is_so: Callable[[], bool], otherwise: str, *, within: float = 30.0) -> None:
        deadline = time.monotonic() + within
        while not is_so():
            self.control.check_daemons()
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.02)


@pytest.fixture(scope="session")
def region(supervised) -> Iterator[Region]:
    with supervised() as control:
        images = PublicImages(unpacked_binary("docker-registry", "docker-registry", lambda line: None))
        yield Region(control, start_cloud(control, region_world(control.folder, images)))


@pytest.fixture(scope="session")
def public(region) -> str:
    return region.machine("public")


@pytest.fixture(scope="session")
def private(region) -> str:
    return region.machine("private")


@pytest.fixture(scope="session")
def image(tmp_path_factory) -> Path:
    """A small image as an OCI layout."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "file").write_bytes(b"of the image\n" * 100_000)
    layer = layer_of({"file": folder / "file"}, folder / "layer.tar")
    write_image(folder / "layout", [layer], entrypoint=("/file",), path="/", architecture="amd64")
    return folder / "layout"


@pytest.fixture(scope="session")
def pushed(region, public, image) -> str:
    """A repository with the image in it, pushed from a machine."""
    region.client("ecr").create_repository(repositoryName="team/tested")
    done = skopeo(region, public, "copy", f"oci:{image}:latest", f"docker://{HOST}/team/tested:1")
    assert done.returncode == 0, done.stderr.decode()
    return "team/tested"
