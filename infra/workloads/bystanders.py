"""Machines of the cloud that belong to no cluster, one in each range: they tell whom they see, and nothing else.

Sources: Amazon VPC User Guide, "VPC CIDR blocks"; Amazon EC2 API Reference, RunInstances.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.judge.waits import WaitFailed, eventually
from kip_conformance.infra.targets.protocol import Place, Protocol4
from kip_conformance.infra.workloads.cells import CellView
from kip_conformance.infra.workloads.reading import ClusterReader

__all__ = ["Bystander", "Bystanders"]

PORT = 7007

_TELL = f"""#!/bin/sh
cat > /run/tell.py <<'PROGRAM'
import socket, threading
def over_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("", {PORT}))
        while True:
            _, source = listener.recvfrom(100)
            listener.sendto(source[0].encode(), source)
threading.Thread(target=over_udp, daemon=True).start()
with socket.create_server(("", {PORT})) as listener:
    while True:
        connection, source = listener.accept()
        with connection:
            connection.sendall(source[0].encode())
PROGRAM
setsid /usr/bin/python3 -I /run/tell.py </dev/null &
"""

_ASK = f"""
import json, socket, sys
def asked(address, protocol):
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as client:
        client.settimeout(1)
        try:
            client.connect((address, {PORT}))
            if protocol == "udp":
                client.send(b"?")
            return client.recv(100).decode()
        except OSError as error:
            return "no answer: " + str(error)
print(json.dumps({{address: asked(address, sys.argv[1]) for address in sys.argv[2:]}}))
"""


@dataclass(frozen=True, slots=True)
class Bystander:
    """A machine at `address`, in `cidr` of the VPC."""

    address: str
    cidr: str
    vpc: str

    def __str__(self) -> str:
        return f"{self.address} in {self.cidr}"


class Bystanders:
    """Makes them by a boto3 client of EC2, under a `name` of this row alone; all are gone at the end of the block.

    `budget` is how many seconds their end may take. Methods raise botocore's errors when the API refuses.
    """

    def __init__(self, ec2: Any, api: ClusterReader, *, name: str, budget: float) -> None:
        self._ec2, self._api, self._name, self._budget = ec2, api, name, budget
        self._instances: list[str] = []
        self._groups: list[str] = []

    def __enter__(self) -> Bystanders:
        return self

    def __exit__(self, *_: object) -> None:
        if self._instances:
            self._ec2.terminate_instances(InstanceIds=self._instances)
            try:
                eventually(self._states, lambda states: states == {"terminated"}, within=self._budget)
            except WaitFailed as error:
                raise HarnessError(f"machines of a row stay: {error}") from error
        for group in self._groups:
            self._ec2.delete_security_group(GroupId=group)

    def one_a_range(self, cell: CellView) -> tuple[Bystander, ...]:
        """A machine in each range of the cell's VPC, and of the VPCs that it is peered with, like the cell's own."""
        like = self._described([cell.instance])[0]
        own = cell.subnet.vpc
        near = [one["CidrBlock"] for one in self._vpc(own)["CidrBlockAssociationSet"]]
        made = []
        for vpc in (own, *self._peers(own)):
            subnets = self._subnets(vpc)
            group = self._group(vpc, near)
            for association in self._vpc(vpc)["CidrBlockAssociationSet"]:
                cidr = association["CidrBlock"]
                inside = [one for one in subnets if IPv4Network(one["CidrBlock"]).subnet_of(IPv4Network(cidr))]
                if inside:
                    made.append(Bystander(self._launch(like, inside[0]["SubnetId"], group), cidr, vpc))
        return tuple(made)

    def seen(self, pod: Place, asked: Sequence[Bystander], protocol: Protocol4) -> Mapping[str, str]:
        """The source that each of them sees when the pod asks, by its words; "no answer" and why when there is none."""
        argv = ["/usr/bin/python3", "-I", "-c", _ASK, protocol, *(one.address for one in asked)]
        ran = self._api.run(pod, argv, timeout=10.0 + 2.0 * len(asked))
        if ran.exit_code != 0:
            raise HarnessError(f"{pod.name}: nobody could be asked: {ran.refusal or ran.output.strip()[-300:]}")
        told = json.loads(ran.output)
        return {str(one): str(told[one.address]) for one in asked}

    def _launch(self, like: Mapping[str, Any], subnet: str, group: str) -> str:
        tags = [{"Key": "Name", "Value": self._name}]
        made = self._ec2.run_instances(
            ImageId=like["ImageId"],
            InstanceType=like["InstanceType"],
            MinCount=1,
            MaxCount=1,
            UserData=_TELL,
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group]}],
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )["Instances"][0]
        self._instances.append(made["InstanceId"])
        return str(made["PrivateIpAddress"])

    def _group(self, vpc: str, near: Sequence[str]) -> str:
        """What lets the cell's VPC in, at that port alone."""
        made: str = self._ec2.create_security_group(VpcId=vpc, GroupName=self._name, Description=self._name)["GroupId"]
        self._groups.append(made)
        ranges = [{"CidrIp": cidr} for cidr in near]
        self._ec2.authorize_security_group_ingress(
            GroupId=made,
            IpPermissions=[
                {"IpProtocol": protocol, "FromPort": PORT, "ToPort": PORT, "IpRanges": ranges}
                for protocol in ("tcp", "udp")
            ],
        )
        return made

    def _vpc(self, identifier: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._ec2.describe_vpcs(VpcIds=[identifier])["Vpcs"][0]
        return found

    def _subnets(self, vpc: str) -> list[Mapping[str, Any]]:
        """The roomiest first: a machine more is nothing to them."""
        found = self._ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
        return sorted(found, key=lambda one: -int(one["AvailableIpAddressCount"]))

    def _peers(self, vpc: str) -> tuple[str, ...]:
        """The VPCs that this one has an active peering connection with."""
        found = self._ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]
        ends = [
            (one["RequesterVpcInfo"]["VpcId"], one["AccepterVpcInfo"]["VpcId"])
            for one in found
            if one["Status"]["Code"] == "active"
        ]
        return tuple(dict.fromkeys(other for pair in ends if vpc in pair for other in pair if other != vpc))

    def _states(self) -> set[str]:
        return {str(one["State"]["Name"]) for one in self._described(self._instances)}

    def _described(self, instances: Sequence[str]) -> list[Mapping[str, Any]]:
        found = self._ec2.describe_instances(InstanceIds=list(instances))["Reservations"]
        return [one for group in found for one in group["Instances"]]
