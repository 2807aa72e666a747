"""NetworkInterface ("Amazon EC2 API Reference, Data Types, NetworkInterface") and the names of addresses."""

from __future__ import annotations

from typing import Any

__all__ = ["address_association", "associations", "groups", "interface", "private_name", "public_name", "tags"]


def tags(backend: Any, resource_id: str) -> list[dict[str, str]]:
    """A resource's tags."""
    # .get, as moto's mapping would make an entry for every id that is asked for.
    return [{"Key": key, "Value": value} for key, value in (backend.tags.get(resource_id) or {}).items()]


def groups(found: list[Any]) -> list[dict[str, str]]:
    """Security groups by id and name."""
    return [{"GroupId": one.id, "GroupName": one.name} for one in found]


def private_name(address: str, region: str) -> str:
    """The private DNS name of an address ("Amazon EC2 User Guide, Hostname types": IP name)."""
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{address.replace('.', '-')}.{domain}"


def public_name(address: str, region: str) -> str:
    """The public DNS name of an address."""
    domain = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"ec2-{address.replace('.', '-')}.{domain}.amazonaws.com"


def associations(backend: Any, eni: Any) -> dict[str, dict[str, Any]]:
    """Public addresses of an interface by the private address that each belongs to."""
    found: dict[str, dict[str, Any]] = {}
    if eni.public_ip:
        found[eni.private_ip_address] = {"IpOwnerId": "amazon", "PublicIp": eni.public_ip}
    for one in backend.addresses:
        if one.eni is eni:
            found[one.kip_private] = {
                "AllocationId": one.allocation_id,
                "AssociationId": one.association_id,
                "IpOwnerId": backend.account_id,
                "PublicIp": one.public_ip,
            }
    for association in found.values():
        association["PublicDnsName"] = public_name(association["PublicIp"], backend.region_name)
    return found


def address_association(backend: Any, eni: Any) -> dict[str, Any]:
    """The members that say where addresses are: primary and secondary ones with their associations."""
    public = associations(backend, eni)
    has_names = backend.vpcs[eni.subnet.vpc_id].enable_dns_hostnames
    listed = []
    for entry in eni.private_ip_addresses:
        address = entry["PrivateIpAddress"]
        item: dict[str, Any] = {"Primary": address == eni.private_ip_address, "PrivateIpAddress": address}
        if has_names:
            item["PrivateDnsName"] = private_name(address, backend.region_name)
        if address in public:
            item["Association"] = public[address]
        listed.append(item)
    members: dict[str, Any] = {"PrivateIpAddress": eni.private_ip_address, "PrivateIpAddresses": listed}
    if has_names:
        members["PrivateDnsName"] = private_name(eni.private_ip_address, backend.region_name)
    if eni.private_ip_address in public:
        members["Association"] = public[eni.private_ip_address]
    return members


def interface(backend: Any, eni: Any) -> dict[str, Any]:
    """One network interface."""
    service = getattr(eni, "kip_service", "")
    shape: dict[str, Any] = {
        "AvailabilityZone": eni.subnet.availability_zone,
        "Description": eni.description,
        "Groups": groups(eni._group_set),
        "InterfaceType": eni.interface_type,
        "Ipv6Addresses": [],
        "MacAddress": eni.mac_address,
        "NetworkInterfaceId": eni.id,
        "OwnerId": backend.account_id,
        "RequesterManaged": bool(service),
        "SourceDestCheck": eni.source_dest_check,
        "Status": "in-use" if eni.instance is not None or service else "available",
        "SubnetId": eni.subnet.id,
        "TagSet": tags(backend, eni.id),
        "VpcId": eni.subnet.vpc_id,
        **address_association(backend, eni),
    }
    if eni.instance is not None:
        shape["Attachment"] = {
            "AttachTime": eni.attach_time,
            "AttachmentId": eni.attachment_id,
            "DeleteOnTermination": bool(eni.delete_on_termination),
            "DeviceIndex": eni.device_index,
            "NetworkCardIndex": 0,
            "InstanceId": eni.instance.id,
            "InstanceOwnerId": backend.account_id,
            "Status": "attached",
        }
    elif service:
        shape["Attachment"] = {
            "AttachmentId": eni.id.replace("eni-", "ela-attach-"),
            "DeleteOnTermination": False,
            "DeviceIndex": 1,
            "InstanceOwnerId": "amazon-aws",
            "Status": "attached",
        }
        shape["RequesterId"] = "amazon-aws"
    return shape
