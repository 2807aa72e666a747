"""Subnets. moto takes any zone of the world, deletes subnets in use and forgets attributes.

Sources: "Amazon VPC User Guide, Subnets"; Amazon EC2 API Reference, CreateSubnet, ModifySubnetAttribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.describing import Described, describe
from kip_conformance.infra.cloud.api.lookups import all_subnets, subnet, vpc
from kip_conformance.infra.cloud.api.shapes import networks as shapes
from kip_conformance.infra.cloud.api.vpcs import ranges_of, wanted_range

__all__: list[str] = []

describe(
    "DescribeSubnets",
    Described(
        "Subnets", "SubnetIds", "SubnetId", "subnet",
        lambda call: [shapes.subnet(call.backend, one) for one in all_subnets(call.backend)],
        {
            **dict.fromkeys(["availability-zone", "availabilityZone"], "AvailabilityZone"),
            **dict.fromkeys(["availability-zone-id", "availabilityZoneId"], "AvailabilityZoneId"),
            "available-ip-address-count": "AvailableIpAddressCount",
            **dict.fromkeys(["cidr", "cidr-block", "cidrBlock"], "CidrBlock"),
            **dict.fromkeys(["default-for-az", "defaultForAz"], "DefaultForAz"),
            "map-public-ip-on-launch": "MapPublicIpOnLaunch",
            "owner-id": "OwnerId",
            "state": "State",
            "subnet-arn": "SubnetArn",
            "subnet-id": "SubnetId",
            "vpc-id": "VpcId",
        },
    ),
)  # fmt: skip


@action("CreateSubnet")
def create(call: Call) -> Mapping[str, Any]:
    backend, of_vpc = call.backend, vpc(call.backend, call.text("VpcId"))
    wanted = wanted_range(call.text("CidrBlock"), "InvalidSubnet.Range")
    if not any(wanted.subnet_of(one) for one in ranges_of(of_vpc)):
        raise Refusal("InvalidSubnet.Range", f"The CIDR '{wanted}' is invalid.")
    zones = backend.describe_availability_zones()
    name, zone_id = call.params.get("AvailabilityZone"), call.params.get("AvailabilityZoneId")
    zone = next(
        (one for one in zones if name in (None, one.name) and zone_id in (None, one.zone_id)),
        None,
    )
    if zone is None:
        known = ", ".join(one.name for one in zones)
        raise Refusal(
            "InvalidParameterValue",
            f"Value ({name or zone_id}) for parameter availabilityZone is invalid. Subnets can currently only be "
            f"created in the following availability zones: {known}.",
        )
    # moto compares with the VPC's other subnets and says InvalidSubnet.Conflict itself.
    made = backend.create_subnet(of_vpc.id, str(wanted), availability_zone=zone.name)
    made.default_for_az = made.map_public_ip_on_launch = False
    if tags := call.tags("subnet"):
        backend.create_tags([made.id], tags)
    return {"Subnet": shapes.subnet(backend, made)}


@action("DeleteSubnet")
def delete(call: Call) -> Mapping[str, Any]:
    found = subnet(call.backend, call.text("SubnetId"))
    if any(eni.subnet.id == found.id for eni in call.backend.enis.values()):
        raise Refusal("DependencyViolation", f"The subnet '{found.id}' has dependencies and cannot be deleted.")
    call.backend.delete_subnet(found.id)
    for table in call.backend.route_tables.values():
        table._associations = {key: one for key, one in table._associations.items() if one != found.id}
    for acl in call.backend.network_acls.values():
        acl._associations = {key: one for key, one in acl._associations.items() if one.subnet_id != found.id}
    call.backend.tags.pop(found.id, None)
    return {}


@action("ModifySubnetAttribute")
def modify(call: Call) -> Mapping[str, Any]:
    found = subnet(call.backend, call.text("SubnetId"))
    if (value := call.params.get("MapPublicIpOnLaunch")) is not None:
        found.map_public_ip_on_launch = bool(value["Value"])
    for name in ("EnableResourceNameDnsARecordOnLaunch", "PrivateDnsHostnameTypeOnLaunch"):
        if (value := call.params.get(name)) is not None:
            options = found.private_dns_name_options_on_launch
            if isinstance(value, Mapping):
                options["EnableResourceNameDnsARecord"] = bool(value["Value"])
            else:
                options["HostnameType"] = value
    return {}
