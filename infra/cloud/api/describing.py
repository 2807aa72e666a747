"""What Describe actions have in common: a table of kinds, each with its filters, and instances, which are grouped.

The names of filters are those of each action's page in the Amazon EC2 API Reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.filters import matching, page
from kip_conformance.infra.cloud.api.lookups import instances_of
from kip_conformance.infra.cloud.api.shapes import interfaces as interface_shapes
from kip_conformance.infra.cloud.api.shapes.instances import instance, reservation

__all__ = ["Described", "describe"]


@dataclass(frozen=True, slots=True)
class Described:
    """A kind of resource: `member` of the answer, `ids` of the request, `key` in a shape, `prefix` for refusals."""

    member: str
    ids: str
    key: str
    prefix: str
    shapes: Callable[[Call], Iterable[dict[str, Any]]]
    filters: Mapping[str, str]
    tags: str = "Tags"
    least: int = 5


def describe(name: str, kind: Described) -> None:
    """Register the Describe action of a kind."""

    def handler(call: Call) -> Mapping[str, Any]:
        shapes = list(kind.shapes(call))
        if wanted := call.params.get(kind.ids):
            if call.params.get("MaxResults") is not None:
                raise Refusal(
                    "InvalidParameterCombination",
                    f"The parameter {kind.ids} cannot be used with the parameter maxResults",
                )
            known = {shape[kind.key]: shape for shape in shapes}
            for one in wanted:
                if one not in known:
                    raise unknown(kind.prefix, one)
            shapes = [known[one] for one in dict.fromkeys(wanted)]
        filters = call.params.get("Filters") or call.params.get("Filter") or []
        found, token = page(matching(shapes, filters, kind.filters, tags=kind.tags), call.params, least=kind.least)
        return {kind.member: found, "NextToken": token}

    action(name)(handler)


INTERFACE_FILTERS = {
    "addresses.association.public-ip": "PrivateIpAddresses.Association.PublicIp",
    "addresses.primary": "PrivateIpAddresses.Primary",
    "addresses.private-ip-address": "PrivateIpAddresses.PrivateIpAddress",
    "association.allocation-id": "Association.AllocationId",
    "association.association-id": "Association.AssociationId",
    "association.ip-owner-id": "Association.IpOwnerId",
    "association.public-ip": "Association.PublicIp",
    "attachment.attachment-id": "Attachment.AttachmentId",
    "attachment.delete-on-termination": "Attachment.DeleteOnTermination",
    "attachment.device-index": "Attachment.DeviceIndex",
    "attachment.instance-id": "Attachment.InstanceId",
    "attachment.instance-owner-id": "Attachment.InstanceOwnerId",
    "attachment.status": "Attachment.Status",
    "availability-zone": "AvailabilityZone",
    "description": "Description",
    "group-id": "Groups.GroupId",
    "group-name": "Groups.GroupName",
    "interface-type": "InterfaceType",
    "mac-address": "MacAddress",
    "network-interface-id": "NetworkInterfaceId",
    "owner-id": "OwnerId",
    "private-dns-name": "PrivateDnsName",
    "private-ip-address": "PrivateIpAddresses.PrivateIpAddress",
    "requester-id": "RequesterId",
    "requester-managed": "RequesterManaged",
    "source-dest-check": "SourceDestCheck",
    "status": "Status",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
}
INSTANCE_FILTERS = {
    "architecture": "Architecture",
    "availability-zone": "Placement.AvailabilityZone",
    "block-device-mapping.device-name": "BlockDeviceMappings.DeviceName",
    "block-device-mapping.volume-id": "BlockDeviceMappings.Ebs.VolumeId",
    "client-token": "ClientToken",
    "dns-name": "PublicDnsName",
    "group-id": "SecurityGroups.GroupId",
    "group-name": "SecurityGroups.GroupName",
    "iam-instance-profile.arn": "IamInstanceProfile.Arn",
    "iam-instance-profile.id": "IamInstanceProfile.Id",
    "image-id": "ImageId",
    "instance-id": "InstanceId",
    "instance-state-code": "State.Code",
    "instance-state-name": "State.Name",
    "instance-type": "InstanceType",
    "instance.group-id": "SecurityGroups.GroupId",
    "instance.group-name": "SecurityGroups.GroupName",
    "ip-address": "PublicIpAddress",
    "key-name": "KeyName",
    "launch-index": "AmiLaunchIndex",
    "launch-time": "LaunchTime",
    "metadata-options.http-endpoint": "MetadataOptions.HttpEndpoint",
    "metadata-options.http-tokens": "MetadataOptions.HttpTokens",
    "monitoring-state": "Monitoring.State",
    "private-dns-name": "PrivateDnsName",
    "private-ip-address": "PrivateIpAddress",
    "reason": "StateTransitionReason",
    "root-device-name": "RootDeviceName",
    "root-device-type": "RootDeviceType",
    "source-dest-check": "SourceDestCheck",
    "state-reason-code": "StateReason.Code",
    "state-reason-message": "StateReason.Message",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
    **{f"network-interface.{name}": f"NetworkInterfaces.{path}" for name, path in INTERFACE_FILTERS.items()},
}
RESERVATION_FILTERS = {"reservation-id": "ReservationId", "owner-id": "OwnerId", "requester-id": "RequesterId"}

describe(
    "DescribeNetworkInterfaces",
    Described(
        "NetworkInterfaces", "NetworkInterfaceIds", "NetworkInterfaceId", "eni",
        lambda call: [interface_shapes.interface(call.backend, eni) for eni in call.backend.enis.values()],
        INTERFACE_FILTERS, tags="TagSet",
    ),
)  # fmt: skip


def _instance_shapes(call: Call) -> list[dict[str, Any]]:
    """Reservations with the instances that were asked for and pass the filters."""
    wanted = set(call.params.get("InstanceIds") or [])
    if wanted and call.params.get("MaxResults") is not None:
        raise Refusal(
            "InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults"
        )
    instances_of(call.backend, wanted)
    filters = call.params.get("Filters") or []
    of_reservations = [one for one in filters if one.get("Name") in RESERVATION_FILTERS]
    of_instances = [one for one in filters if one.get("Name") not in RESERVATION_FILTERS]
    found = []
    for one in call.backend.reservations.values():
        machines = [machine for machine in one.instances if not wanted or machine.id in wanted]
        shapes = matching([instance(call.backend, machine) for machine in machines], of_instances, INSTANCE_FILTERS)
        if shapes:
            found.append(reservation(call.backend, one, shapes))
    return matching(found, of_reservations, RESERVATION_FILTERS)


@action("DescribeInstances")
def describe_instances(call: Call) -> Mapping[str, Any]:
    """A page is of instances, though the answer groups them: no more than MaxResults of them."""
    flat = [{"reservation": one, "instance": machine} for one in _instance_shapes(call) for machine in one["Instances"]]
    on_page, token = page(flat, call.params)
    grouped: dict[str, dict[str, Any]] = {}
    for entry in on_page:
        whole = entry["reservation"]
        listed = grouped.setdefault(whole["ReservationId"], {**whole, "Instances": []})
        listed["Instances"].append(entry["instance"])
    return {"Reservations": list(grouped.values()), "NextToken": token}


@action("DescribeInstanceStatus")
def describe_status(call: Call) -> Mapping[str, Any]:
    shown = [machine for one in _instance_shapes(_with_filters_of_status(call)) for machine in one["Instances"]]
    if not call.params.get("IncludeAllInstances"):
        shown = [machine for machine in shown if machine["State"]["Name"] == "running"]
    on_page, token = page(shown, call.params)
    return {"InstanceStatuses": [_status(machine) for machine in on_page], "NextToken": token}


def _with_filters_of_status(call: Call) -> Call:
    """The status checks always pass here: those filters leave all running ones or none."""
    passed = {"instance-status.status": "ok", "system-status.status": "ok", "instance-status.reachability": "passed"}
    filters = call.params.get("Filters") or []
    left = [one for one in filters if one.get("Name") not in passed]
    for one in filters:
        if one.get("Name") in passed and passed[one["Name"]] not in (one.get("Values") or []):
            left.append({"Name": "instance-id", "Values": []})
    return Call(call.name, {**call.params, "Filters": left}, call.backend, call.settings, call.moto)


def _status(machine: Mapping[str, Any]) -> dict[str, Any]:
    is_running = machine["State"]["Name"] == "running"
    checks: dict[str, Any] = {"Status": "not-applicable"}
    if is_running:
        checks = {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
    return {
        "AvailabilityZone": machine["Placement"]["AvailabilityZone"],
        "InstanceId": machine["InstanceId"],
        "InstanceState": machine["State"],
        "InstanceStatus": checks,
        "SystemStatus": checks,
    }
