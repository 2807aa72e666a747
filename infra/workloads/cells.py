"""What the cloud's API says of cells: the instance behind a pod, its addresses, its subnet. Nothing is changed here,
but that a row may end one.

Sources: Amazon EC2 API Reference, DescribeInstances, DescribeNetworkInterfaces, TerminateInstances; Amazon VPC User
Guide, Subnets for your VPC (what makes a subnet public).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from kip_conformance.infra.errors import HarnessError

__all__ = ["CellReader", "CellView", "SubnetView", "route_table", "terminate"]


@dataclass(frozen=True, slots=True)
class SubnetView:
    """`is_public`: its effective route table leads somewhere by an internet gateway."""

    id: str
    cidr: str
    zone: str
    is_public: bool
    vpc: str = ""

    def __contains__(self, address: str) -> bool:
        return ip_address(address) in ip_network(self.cidr)

    def __str__(self) -> str:
        return f"{self.id} ({self.cidr}, {self.zone})"


@dataclass(frozen=True, slots=True)
class CellView:
    """An instance by one of its addresses. `addresses` are private ones, the primary first, over all its interfaces.

    `public` are pairs (public address, the private one that it is translated to).
    """

    instance: str
    subnet: SubnetView
    addresses: tuple[str, ...]
    interfaces: tuple[str, ...]
    public: tuple[tuple[str, str], ...]

    @property
    def management(self) -> str:
        return self.addresses[0]


class CellReader:
    """Reads one region by a boto3 client of EC2. Every method raises botocore's errors when the API refuses."""

    def __init__(self, ec2: Any) -> None:
        self._ec2 = ec2

    def at(self, address: str) -> CellView:
        """The instance that has a private address. Raises HarnessError when none has."""
        found = self.find(address)
        if found is None:
            raise HarnessError(f"the cloud knows no instance with the address {address}")
        return found

    def find(self, address: str) -> CellView | None:
        """The instance that has a private address, or None."""
        holders = self._interfaces("addresses.private-ip-address", address)
        owner = next((one["Attachment"]["InstanceId"] for one in holders if "InstanceId" in one["Attachment"]), "")
        if not owner:
            return None
        interfaces = sorted(
            self._interfaces("attachment.instance-id", owner), key=lambda one: int(one["Attachment"]["DeviceIndex"])
        )
        entries = [entry for one in interfaces for entry in sorted(one["PrivateIpAddresses"], key=_primary_first)]
        return CellView(
            owner,
            self.subnet(interfaces[0]["SubnetId"]),
            tuple(entry["PrivateIpAddress"] for entry in entries),
            tuple(one["NetworkInterfaceId"] for one in interfaces),
            tuple(
                (entry["Association"]["PublicIp"], entry["PrivateIpAddress"])
                for entry in entries
                if "Association" in entry
            ),
        )

    def subnet(self, identifier: str) -> SubnetView:
        """A subnet by its id."""
        found = self._ec2.describe_subnets(SubnetIds=[identifier])["Subnets"][0]
        return SubnetView(
            identifier,
            found["CidrBlock"],
            found["AvailabilityZone"],
            self._is_public(identifier, found["VpcId"]),
            found["VpcId"],
        )

    def left_of(self, cell: CellView) -> tuple[str, ...]:
        """What is still there of a cell whose pod is gone: the instance, its interfaces, its addresses."""
        left = []
        found = self._ec2.describe_instances(InstanceIds=[cell.instance])["Reservations"]
        for state in (one["State"]["Name"] for group in found for one in group["Instances"]):
            left += [] if state == "terminated" else [f"instance {cell.instance} is {state}"]
        for one in self._interfaces("network-interface-id", *cell.interfaces):
            left.append(f"interface {one['NetworkInterfaceId']} is {one['Status']}")
        for one in self._interfaces("addresses.private-ip-address", *cell.addresses):
            own = {entry["PrivateIpAddress"] for entry in one["PrivateIpAddresses"]} & set(cell.addresses)
            # An address that another instance has by now was released.
            if one["NetworkInterfaceId"] in cell.interfaces:
                left += [f"address {address} is taken" for address in sorted(own)]
        return tuple(left)

    def _is_public(self, subnet: str, vpc: str) -> bool:
        routes = route_table(self._ec2, subnet, vpc)["Routes"]
        return any(route.get("GatewayId", "").startswith("igw-") and route["State"] == "active" for route in routes)

    def _interfaces(self, name: str, *values: str) -> list[dict[str, Any]]:
        found = self._ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": list(values)}])
        return [{"Attachment": {}, **one} for one in found["NetworkInterfaces"]]


def terminate(ec2: Any, cell: CellView) -> None:
    """End a cell's instance, as somebody might by hand. Not waited for."""
    ec2.terminate_instances(InstanceIds=[cell.instance])


def route_table(ec2: Any, subnet: str, vpc: str) -> dict[str, Any]:
    """The route table in force for a subnet: the one that is associated with it, else the main one of its VPC."""
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    own = [one for one in tables if any(each.get("SubnetId") == subnet for each in one["Associations"])]
    main = [one for one in tables if any(each.get("Main") for each in one["Associations"])]
    found: dict[str, Any] = (own or main)[0]
    return found


def _primary_first(entry: dict[str, Any]) -> bool:
    return not entry["Primary"]
