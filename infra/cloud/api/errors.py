"""Which error code the API gives for ids that are malformed or unknown ("Amazon EC2 API Reference, Error codes")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.cloud.api.call import Refusal

__all__ = ["KINDS", "Kind", "check_ids", "unknown"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of id: how it begins and the two codes. The codes' spelling is the API's, with its inconsistencies."""

    prefix: str
    malformed: str
    not_found: str
    noun: str


KINDS = {
    kind.prefix: kind
    for kind in (
        Kind("i", "InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound", "instance"),
        Kind("ami", "InvalidAMIID.Malformed", "InvalidAMIID.NotFound", "image"),
        Kind("subnet", "InvalidSubnetID.Malformed", "InvalidSubnetID.NotFound", "subnet"),
        Kind("vpc", "InvalidVpcID.Malformed", "InvalidVpcID.NotFound", "vpc"),
        Kind("sg", "InvalidGroupId.Malformed", "InvalidGroup.NotFound", "security group"),
        Kind("eni", "InvalidNetworkInterfaceId.Malformed", "InvalidNetworkInterfaceID.NotFound", "network interface"),
        Kind(
            "eni-attach", "InvalidNetworkInterfaceAttachmentId.Malformed", "InvalidAttachmentID.NotFound", "attachment"
        ),
        Kind("rtb", "InvalidRouteTableId.Malformed", "InvalidRouteTableID.NotFound", "route table"),
        Kind("rtbassoc", "InvalidRouteTableAssociationId.Malformed", "InvalidAssociationID.NotFound", "association"),
        Kind("igw", "InvalidInternetGatewayId.Malformed", "InvalidInternetGatewayID.NotFound", "internet gateway"),
        Kind("nat", "NatGatewayMalformed", "NatGatewayNotFound", "NAT gateway"),
        Kind(
            "pcx", "InvalidVpcPeeringConnectionId.Malformed", "InvalidVpcPeeringConnectionID.NotFound",
            "vpc peering connection",
        ),
        Kind("vgw", "InvalidVpnGatewayID.Malformed", "InvalidVpnGatewayID.NotFound", "vpn gateway"),
        Kind("cgw", "InvalidCustomerGatewayId.Malformed", "InvalidCustomerGatewayID.NotFound", "customer gateway"),
        Kind("vpn", "InvalidVpnConnectionID.Malformed", "InvalidVpnConnectionID.NotFound", "vpn connection"),
        Kind("vpce", "InvalidVpcEndpointId.Malformed", "InvalidVpcEndpointId.NotFound", "vpc endpoint"),
        Kind("dopt", "InvalidDhcpOptionsId.Malformed", "InvalidDhcpOptionID.NotFound", "dhcp options set"),
        Kind("eipalloc", "InvalidAllocationID.Malformed", "InvalidAllocationID.NotFound", "allocation"),
        Kind("eipassoc", "InvalidAssociationID.Malformed", "InvalidAssociationID.NotFound", "association"),
        Kind("pl", "InvalidPrefixListId.Malformed", "InvalidPrefixListID.NotFound", "prefix list"),
        Kind("vol", "InvalidVolumeID.Malformed", "InvalidVolume.NotFound", "volume"),
    )
}  # fmt: skip

# Parameters by the kind of id that they hold. AssociationId and GatewayId hold several kinds and are left out.
PARAMETERS = {
    "InstanceId": "i", "ImageId": "ami", "SubnetId": "subnet", "VpcId": "vpc", "PeerVpcId": "vpc", "GroupId": "sg",
    "SecurityGroupId": "sg", "Groups": "sg", "NetworkInterfaceId": "eni", "AttachmentId": "eni-attach",
    "RouteTableId": "rtb", "AddRouteTableId": "rtb", "RemoveRouteTableId": "rtb", "InternetGatewayId": "igw",
    "NatGatewayId": "nat", "VpcPeeringConnectionId": "pcx", "VpnGatewayId": "vgw", "CustomerGatewayId": "cgw",
    "VpnConnectionId": "vpn", "VpcEndpointId": "vpce", "DhcpOptionsId": "dopt", "AllocationId": "eipalloc",
    "PrefixListId": "pl", "DestinationPrefixListId": "pl", "AddSubnetId": "subnet", "RemoveSubnetId": "subnet",
    "AddSecurityGroupId": "sg", "RemoveSecurityGroupId": "sg", "VolumeId": "vol",
}  # fmt: skip
# AttachmentId of these actions is a volume's, DhcpOptionsId of AssociateDhcpOptions may be "default".
EXCEPTIONS = {("AssociateDhcpOptions", "DhcpOptionsId", "default")}
HEX = re.compile(r"[0-9a-f]{8}|[0-9a-f]{17}")


def unknown(prefix: str, resource_id: object) -> Refusal:
    """The refusal of an id that no resource has."""
    kind = KINDS[prefix]
    return Refusal(kind.not_found, f"The {kind.noun} ID '{resource_id}' does not exist")


def check_ids(action: str, params: Mapping[str, Any]) -> None:
    """Raises Refusal when an id does not have the form of its kind."""
    for name, value in _strings(params):
        singular = name if name in PARAMETERS else name.removesuffix("s")
        prefix = PARAMETERS.get(singular)
        if prefix is None or (action, name, value) in EXCEPTIONS:
            continue
        begin, _, rest = value.rpartition("-")
        # Ids of 8 digits are of the time before 2016; images of other makers' tests have any digits.
        if begin != prefix or not HEX.fullmatch(rest):
            kind = KINDS[prefix]
            raise Refusal(kind.malformed, f'Invalid id: "{value}" (expecting "{prefix}-...")')


def _strings(params: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, str]]:
    """Every string among the parameters with the nearest name; filters and tags hold anything."""
    for key, value in params.items():
        if key in ("Filters", "Filter", "Tags", "TagSpecifications", "ResourceIds"):
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Mapping):
                yield from _strings(one, key)
            elif isinstance(one, str):
                yield key, one
