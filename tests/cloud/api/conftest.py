"""A real server of the cloud's API, on loopback, and a real client of it. Every test has a VPC of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import pytest
from botocore.exceptions import ClientError

IMAGE = "ami-0d00000000000debd"
REGION = "eu-central-1"


@dataclass
class Server:
    """A server process; `start` after `kill` takes the same folder up again."""

    folder: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None
    url: str = ""
    clients: dict[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    def start(self) -> Server:
        program = [sys.executable, "-m", "kip_conformance.infra.cloud.api", "--folder", str(self.folder)]
        command = [*(self.command or program)]
        self.process = subprocess.Popen([*command, *self.options], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.url = line.strip().rpartition(" ")[2]
        self.clients.clear()
        return self

    def client(self, service: str = "ec2") -> Any:
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id="AKIAAAAAAAAAAAAAAAAA",
                aws_secret_access_key="any",
                config=botocore.config.Config(retries={"max_attempts": 0}, parameter_validation=False),
            )
        return self.clients[service]

    def signal(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(10)
        self.process.stdout.close()
        return code

    def stop(self) -> int:
        return self.signal(signal.SIGTERM) if self.process.poll() is None else 0


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    server = Server(folder, options).start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session", autouse=True)
def _no_credentials_of_the_user():
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("cloud"), "--public-pool", "198.18.0.0/22") as running:
        yield running


@pytest.fixture
def own_server(tmp_path) -> Iterator[Callable[..., Server]]:
    """Starts servers that a test may kill: `own_server("--machines", "external")`."""
    with contextlib.ExitStack() as stack:
        yield lambda *options: stack.enter_context(serving(tmp_path / "cloud", *options))


@pytest.fixture
def server_of() -> Iterator[Callable[[Path, list[str]], Server]]:
    """Starts servers by commands of a test's own."""
    with contextlib.ExitStack() as stack:

        def start(folder: Path, command: list[str]) -> Server:
            made = Server(folder, command=tuple(command)).start()
            stack.callback(made.stop)
            return made

        yield start


@dataclass
class Cloud:
    """What tests do most: a client, a VPC, and short ways to make things in it."""

    ec2: Any
    vpc: str = ""

    def make_vpc(self, cidr: str = "10.20.0.0/16") -> str:
        return self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]

    def subnet(self, cidr: str = "10.20.1.0/24", zone: str = "a", vpc: str = "") -> str:
        made = self.ec2.create_subnet(VpcId=vpc or self.vpc, CidrBlock=cidr, AvailabilityZone=REGION + zone)
        return made["Subnet"]["SubnetId"]

    def run(self, subnet: str = "", **options: Any) -> dict[str, Any]:
        """One instance, as RunInstances answers."""
        return self.run_many(1, subnet, **options)[0]

    def run_many(self, count: int, subnet: str = "", **options: Any) -> list[dict[str, Any]]:
        if subnet:
            options["SubnetId"] = subnet
        options = {"ImageId": IMAGE, "InstanceType": "t3.small", "MinCount": count, "MaxCount": count, **options}
        return self.ec2.run_instances(**options)["Instances"]

    def instance(self, instance_id: str) -> dict[str, Any]:
        return self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]

    def interface(self, interface_id: str) -> dict[str, Any]:
        found = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface_id])
        return found["NetworkInterfaces"][0]

    def make_interface(self, subnet: str, **options: Any) -> dict[str, Any]:
        return self.ec2.create_network_interface(SubnetId=subnet, **options)["NetworkInterface"]

    def free(self, subnet: str) -> int:
        return self.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"]

    def group(self, name: str = "web", vpc: str = "") -> str:
        return self.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc or self.vpc)["GroupId"]

    def internet_gateway(self, vpc: str = "") -> str:
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc or self.vpc)
        return gateway

    def table(self, vpc: str = "") -> str:
        return self.ec2.create_route_table(VpcId=vpc or self.vpc)["RouteTable"]["RouteTableId"]

    def routes(self, table: str) -> dict[str, dict[str, Any]]:
        """Routes by destination."""
        found = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]
        return {one.get("DestinationCidrBlock") or one["DestinationPrefixListId"]: one for one in found["Routes"]}


@pytest.fixture
def cloud(server) -> Cloud:
    made = Cloud(server.client())
    made.vpc = made.make_vpc()
    return made


@pytest.fixture
def cloud_of() -> type[Cloud]:
    """Cloud itself, for servers of a test's own."""
    return Cloud


@contextlib.contextmanager
def refused_with(code: str) -> Iterator[None]:
    """The call inside is refused with this error code."""
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code, caught.value


@pytest.fixture
def refused() -> Callable[[str], contextlib.AbstractContextManager[None]]:
    return refused_with


def addresses_of(shape: dict[str, Any]) -> list[str]:
    """Private addresses of an interface or of an instance's first interface, in order."""
    of = shape["NetworkInterfaces"][0] if "NetworkInterfaces" in shape else shape
    return [entry["PrivateIpAddress"] for entry in of["PrivateIpAddresses"]]


@pytest.fixture
def addresses() -> Callable[[dict[str, Any]], list[str]]:
    return addresses_of


def ask(server: Server, path: str, method: str = "GET", content: Any = None, headers: dict[str, str] | None = None):
    """Status and body of a request below /_kip/."""
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(f"{server.url}/_kip/{path}", body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def asked():
    return ask
