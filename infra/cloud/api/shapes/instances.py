"""Reservation and Instance ("Amazon EC2 API Reference, Data Types, Instance")."""

from __future__ import annotations

from typing import Any

from kip_conformance.infra.cloud.api.shapes.interfaces import (
    associations,
    groups,
    interface,
    private_name,
    public_name,
    tags,
)

__all__ = ["instance", "reservation", "state"]


def reservation(backend: Any, found: Any, instances: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A reservation with its instances, or with those given."""
    return {
        "ReservationId": found.id,
        "OwnerId": backend.account_id,
        "Groups": [],
        "Instances": [instance(backend, one) for one in found.instances] if instances is None else instances,
    }


def state(machine: Any) -> dict[str, Any]:
    """InstanceState."""
    return {"Code": machine.state_code, "Name": machine.state}


def instance(backend: Any, machine: Any) -> dict[str, Any]:
    """One instance. A terminated one has lost its interfaces and with them addresses, subnet and VPC."""
    options = machine.metadata_options
    shape: dict[str, Any] = {
        "AmiLaunchIndex": machine.ami_launch_index,
        "Architecture": machine.architecture,
        "BlockDeviceMappings": [
            {
                "DeviceName": name,
                "Ebs": {
                    "AttachTime": device.attach_time,
                    "DeleteOnTermination": device.delete_on_termination,
                    "Status": "attached",
                    "VolumeId": device.volume_id,
                },
            }
            for name, device in machine.get_block_device_mapping
        ],
        "ClientToken": machine.client_token or "",
        "EbsOptimized": machine.ebs_optimized,
        "EnaSupport": True,
        "Hypervisor": "xen",
        "ImageId": machine.image_id,
        "InstanceId": machine.id,
        "InstanceType": machine.instance_type,
        "KeyName": machine.key_name,
        "LaunchTime": machine.launch_time,
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": options.http_tokens or "optional",
            "HttpPutResponseHopLimit": options.http_put_response_hop_limit or 1,
            "HttpEndpoint": options.http_endpoint or "enabled",
            "HttpProtocolIpv6": "disabled",
            "InstanceMetadataTags": options.instance_metadata_tags or "disabled",
        },
        "Monitoring": {"State": machine.monitoring_state},
        "NetworkInterfaces": [],
        "Placement": {"AvailabilityZone": machine.placement.zone, "GroupName": "", "Tenancy": "default"},
        "PrivateDnsName": "",
        "ProductCodes": [],
        "PublicDnsName": "",
        "RootDeviceName": machine.root_device_name,
        "RootDeviceType": "ebs",
        "SecurityGroups": [],
        "State": state(machine),
        "StateTransitionReason": machine.state_transition_reason or "",
        "Tags": tags(backend, machine.id),
        "VirtualizationType": "hvm",
    }
    if machine.state_reason.code:
        shape["StateReason"] = {"Code": machine.state_reason.code, "Message": machine.state_reason.message}
    if machine.iam_instance_profile:
        shape["IamInstanceProfile"] = machine.iam_instance_profile
    if primary := machine.nics.get(0):
        shape |= _network(backend, machine, primary)
    return shape


def _network(backend: Any, machine: Any, primary: Any) -> dict[str, Any]:
    public = associations(backend, primary).get(primary.private_ip_address)
    members: dict[str, Any] = {
        "NetworkInterfaces": [_attached(backend, eni) for _, eni in sorted(machine.nics.items())],
        "PrivateDnsName": private_name(primary.private_ip_address, backend.region_name),
        "PrivateIpAddress": primary.private_ip_address,
        "SecurityGroups": groups(primary._group_set),
        "SourceDestCheck": primary.source_dest_check,
        "SubnetId": primary.subnet.id,
        "VpcId": primary.subnet.vpc_id,
    }
    if public:
        members["PublicIpAddress"] = public["PublicIp"]
        if backend.vpcs[primary.subnet.vpc_id].enable_dns_hostnames:
            members["PublicDnsName"] = public_name(public["PublicIp"], backend.region_name)
    return members


def _attached(backend: Any, eni: Any) -> dict[str, Any]:
    """InstanceNetworkInterface, which has fewer members than NetworkInterface; what it lacks is not written."""
    return interface(backend, eni)
