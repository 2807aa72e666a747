"""Internet gateways and NAT gateways.

moto attaches two internet gateways to a VPC, detaches one in use, and gives a NAT gateway an address of nowhere.
Sources: "Amazon VPC User Guide, Internet gateways", "... NAT gateways".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.describing import Described, describe
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.interfaces import chosen_addresses, forget, make_interface
from kip_conformance.infra.cloud.api.lookups import internet_gateway, is_attached_to_internet, subnet, vpc
from kip_conformance.infra.cloud.api.public_addresses import allocated, associate_with, release
from kip_conformance.infra.cloud.api.shapes import networks as shapes
from kip_conformance.infra.cloud.api.tokens import once
from moto.ec2.utils import random_nat_gateway_id

__all__ = ["Nat"]

describe(
    "DescribeInternetGateways",
    Described(
        "InternetGateways", "InternetGatewayIds", "InternetGatewayId", "igw",
        lambda call: [shapes.internet_gateway(call.backend, one) for one in call.backend.internet_gateways.values()],
        {
            "attachment.state": "Attachments.State",
            "attachment.vpc-id": "Attachments.VpcId",
            "internet-gateway-id": "InternetGatewayId",
            "owner-id": "OwnerId",
        },
    ),
)  # fmt: skip
describe(
    "DescribeNatGateways",
    Described(
        "NatGateways", "NatGatewayIds", "NatGatewayId", "nat",
        lambda call: [shapes.nat_gateway(call.backend, one) for one in call.backend.nat_gateways.values()],
        {"nat-gateway-id": "NatGatewayId", "state": "State", "subnet-id": "SubnetId", "vpc-id": "VpcId"},
    ),
)  # fmt: skip


@action("CreateInternetGateway")
def create(call: Call) -> Mapping[str, Any]:
    made = call.backend.create_internet_gateway()
    if tags := call.tags("internet-gateway"):
        call.backend.create_tags([made.id], tags)
    return {"InternetGateway": shapes.internet_gateway(call.backend, made)}


@action("AttachInternetGateway")
def attach(call: Call) -> Mapping[str, Any]:
    found, of_vpc = (
        internet_gateway(call.backend, call.text("InternetGatewayId")),
        vpc(call.backend, call.text("VpcId")),
    )
    if found.vpc is not None:
        raise Refusal(
            "Resource.AlreadyAssociated", f"resource {found.id} is already attached to network {found.vpc.id}"
        )
    if is_attached_to_internet(call.backend, of_vpc.id):
        raise Refusal("InvalidParameterValue", f"Network {of_vpc.id} already has an internet gateway attached")
    found.vpc = of_vpc
    return {}


@action("DetachInternetGateway")
def detach(call: Call) -> Mapping[str, Any]:
    found, vpc_id = internet_gateway(call.backend, call.text("InternetGatewayId")), call.text("VpcId")
    vpc(call.backend, vpc_id)
    if found.vpc is None or found.vpc.id != vpc_id:
        raise Refusal("Gateway.NotAttached", f"resource {found.id} is not attached to network {vpc_id}")
    in_use = [eni.id for eni in call.backend.enis.values() if eni.subnet.vpc_id == vpc_id and eni.public_ip]
    in_use += [one.id for one in call.backend.addresses if one.eni is not None and one.eni.subnet.vpc_id == vpc_id]
    if in_use:
        raise Refusal(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
            "detaching the gateway.",
        )
    found.vpc = None
    return {}


@action("DeleteInternetGateway")
def delete(call: Call) -> Mapping[str, Any]:
    found = internet_gateway(call.backend, call.text("InternetGatewayId"))
    if found.vpc is not None:
        raise Refusal(
            "DependencyViolation", f"The internetGateway '{found.id}' has dependencies and cannot be deleted."
        )
    call.backend.internet_gateways.pop(found.id)
    call.backend.tags.pop(found.id, None)
    return {}


@dataclass(slots=True, eq=False)
class Nat:
    """A NAT gateway. What belongs to it: an interface in its subnet and, for a public one, an Elastic IP address."""

    id: str
    subnet_id: str
    vpc_id: str
    connectivity_type: str
    private_ip: str
    kip_interface: str
    kip_public: str = ""
    kip_allocation: str = ""
    kip_association: str = ""
    kip_deleted: datetime | None = None
    state: str = "available"
    _created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@action("CreateNatGateway")
def create_nat(call: Call) -> Mapping[str, Any]:
    made = call.backend.nat_gateways[once(call, lambda: _make_nat(call))]
    shape = shapes.nat_gateway(call.backend, made)
    return {"NatGateway": {**shape, "State": "pending"}, "ClientToken": call.params.get("ClientToken")}


def _make_nat(call: Call) -> str:
    backend, of_subnet = call.backend, subnet(call.backend, call.text("SubnetId"))
    is_public = call.params.get("ConnectivityType", "public") == "public"
    eip = None
    if is_public:
        eip = allocated(backend, call.text("AllocationId"))
        if eip.association_id:
            raise Refusal("Resource.AlreadyAssociated", f"Elastic IP address {eip.allocation_id} is already associated")
        if not is_attached_to_internet(backend, of_subnet.vpc_id):
            raise Refusal("Gateway.NotAttached", f"Network {of_subnet.vpc_id} has no Internet gateway attached")
    nat_id = random_nat_gateway_id()
    addresses = chosen_addresses(backend, of_subnet, {"PrivateIpAddress": call.params.get("PrivateIpAddress")})
    eni = make_interface(
        backend, of_subnet, addresses, [], description=f"Interface for NAT Gateway {nat_id}", service=nat_id,
        interface_type="nat_gateway",
    )  # fmt: skip
    eni.source_dest_check = False
    made = Nat(
        nat_id, of_subnet.id, of_subnet.vpc_id, "public" if is_public else "private", addresses[0], kip_interface=eni.id
    )
    if eip is not None:
        associate_with(backend, eip, eni, addresses[0])
        made.kip_public, made.kip_allocation = eip.public_ip, eip.allocation_id
        made.kip_association = eip.association_id
    backend.nat_gateways[nat_id] = made
    if tags := call.tags("natgateway"):
        backend.create_tags([nat_id], tags)
    return str(nat_id)


@action("DeleteNatGateway")
def delete_nat(call: Call) -> Mapping[str, Any]:
    found = call.backend.nat_gateways.get(call.text("NatGatewayId"))
    if found is None:
        raise unknown("nat", call.text("NatGatewayId"))
    if found.state != "deleted":
        eni = call.backend.enis[found.kip_interface]
        for one in call.backend.addresses:
            if one.eni is eni:
                release(one)
        forget(call.backend, eni)
        found.state, found.kip_deleted = "deleted", datetime.now(UTC)
    return {"NatGatewayId": found.id}
