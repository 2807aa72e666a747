"""Vpc, Subnet, DhcpOptions and the gateways ("Amazon EC2 API Reference, Data Types")."""

from __future__ import annotations

from typing import Any

from kip_conformance.infra.cloud.api.addresses import free_count
from kip_conformance.infra.cloud.api.shapes.interfaces import tags

__all__ = ["dhcp_options", "internet_gateway", "nat_gateway", "subnet", "vpc"]


def vpc(backend: Any, found: Any) -> dict[str, Any]:
    """One VPC with its ranges."""
    return {
        "CidrBlock": found.cidr_block,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": one["association_id"],
                "CidrBlock": one["cidr_block"],
                "CidrBlockState": {"State": one["cidr_block_state"]["state"]},
            }
            for one in found.cidr_block_association_set
        ],
        "DhcpOptionsId": found.dhcp_options.id if found.dhcp_options is not None else "default",
        "InstanceTenancy": "default",
        "IsDefault": found.is_default,
        "OwnerId": backend.account_id,
        "State": "available",
        "Tags": tags(backend, found.id),
        "VpcId": found.id,
    }


def subnet(backend: Any, found: Any) -> dict[str, Any]:
    """One subnet with the number of addresses that are free now."""
    return {
        "AssignIpv6AddressOnCreation": False,
        "AvailabilityZone": found.availability_zone,
        "AvailabilityZoneId": found.availability_zone_id,
        "AvailableIpAddressCount": free_count(backend, found),
        "CidrBlock": found.cidr_block,
        "DefaultForAz": found.default_for_az,
        "EnableDns64": False,
        "Ipv6CidrBlockAssociationSet": [],
        "Ipv6Native": False,
        "MapPublicIpOnLaunch": found.map_public_ip_on_launch,
        "OwnerId": backend.account_id,
        "PrivateDnsNameOptionsOnLaunch": found.private_dns_name_options_on_launch,
        "State": "available",
        "SubnetArn": found.arn,
        "SubnetId": found.id,
        "Tags": tags(backend, found.id),
        "VpcId": found.vpc_id,
    }


def dhcp_options(backend: Any, found: Any) -> dict[str, Any]:
    """One DHCP options set."""
    return {
        "DhcpConfigurations": found.dhcp_configurations,
        "DhcpOptionsId": found.id,
        "OwnerId": backend.account_id,
        "Tags": tags(backend, found.id),
    }


def internet_gateway(backend: Any, found: Any) -> dict[str, Any]:
    """One internet gateway."""
    return {
        "Attachments": [{"State": "available", "VpcId": found.vpc.id}] if found.vpc is not None else [],
        "InternetGatewayId": found.id,
        "OwnerId": backend.account_id,
        "Tags": tags(backend, found.id),
    }


def nat_gateway(backend: Any, found: Any) -> dict[str, Any]:
    """One NAT gateway; a deleted one is still described, without addresses that lead anywhere."""
    address: dict[str, Any] = {
        "NetworkInterfaceId": found.kip_interface,
        "PrivateIp": found.private_ip,
        "IsPrimary": True,
        "Status": "succeeded",
    }
    if found.kip_public:
        address |= {"AllocationId": found.kip_allocation, "PublicIp": found.kip_public}
        address["AssociationId"] = found.kip_association
    shape = {
        "ConnectivityType": found.connectivity_type,
        "CreateTime": found._created_at,
        "NatGatewayAddresses": [address],
        "NatGatewayId": found.id,
        "State": found.state,
        "SubnetId": found.subnet_id,
        "Tags": tags(backend, found.id),
        "VpcId": found.vpc_id,
    }
    if found.state == "deleted":
        shape["DeleteTime"] = found.kip_deleted
    return shape
