"""Network interfaces: making, attaching, changing and deleting them, and their private addresses.

moto hands out colliding addresses, knows no limits, attaches what is attached and forgets most attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kip_conformance.infra.cloud.api.addresses import check_free, take_free
from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.instance_types import limits_of
from kip_conformance.infra.cloud.api.lookups import groups_for, instance, interface, subnet
from kip_conformance.infra.cloud.api.shapes import interfaces as shapes
from kip_conformance.infra.cloud.api.tokens import once
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

__all__ = ["attach", "attached_by", "check_address_limit", "chosen_addresses", "forget", "is_in_use", "make_interface"]


def chosen_addresses(
    backend: Any, of_subnet: Any, params: Mapping[str, Any], *, besides: Sequence[str] = ()
) -> list[str]:
    """The addresses that a specification asks for, the primary one first; free ones where it leaves the choice.

    "Amazon EC2 API Reference, CreateNetworkInterface": PrivateIpAddress, PrivateIpAddresses of which one may be
    primary, SecondaryPrivateIpAddressCount. Raises Refusal.
    """
    primary = params.get("PrivateIpAddress")
    secondary: list[str] = []
    for entry in params.get("PrivateIpAddresses") or []:
        if not entry.get("Primary"):
            secondary.append(entry["PrivateIpAddress"])
        elif primary and primary != entry["PrivateIpAddress"]:
            raise Refusal("InvalidParameterCombination", "Only one primary private IP address can be specified.")
        else:
            primary = entry["PrivateIpAddress"]
    count = int(params.get("SecondaryPrivateIpAddressCount") or 0)
    if secondary and count:
        raise Refusal(
            "InvalidParameterCombination",
            "Secondary addresses and a secondary private IP address count may not be specified on the same request.",
        )
    if not primary and secondary and not params.get("kip_any_primary"):
        primary = secondary.pop(0)
    chosen: list[str] = []
    for address in [primary, *secondary] if primary else secondary:
        check_free(backend, of_subnet, address, besides=[*besides, *chosen])
        chosen.append(address)
    missing = count + (0 if primary else 1)
    return chosen + take_free(backend, of_subnet, missing, besides=[*besides, *chosen])


def make_interface(
    backend: Any,
    of_subnet: Any,
    addresses: Sequence[str],
    groups: Sequence[Any],
    *,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    service: str = "",
    interface_type: str = "interface",
) -> Any:
    """A new interface with addresses that were found free. `service` is the id of what of the cloud's own it is for."""
    eni = NetworkInterface(
        backend,
        of_subnet,
        addresses[0],
        [{"Primary": address == addresses[0], "PrivateIpAddress": address} for address in addresses],
        group_ids=[one.id for one in groups],
        description=description,
        tags=dict(tags or {}),
    )
    eni.interface_type = interface_type
    eni._group_set = list(groups)
    if service:
        eni.kip_service = service
    backend.enis[eni.id] = eni
    return eni


def is_in_use(eni: Any) -> bool:
    """Whether an instance, or a service of the cloud's own, has the interface."""
    return eni.instance is not None or hasattr(eni, "kip_service")


def forget(backend: Any, eni: Any) -> None:
    """Delete an interface: its addresses are free, an Elastic IP address stays allocated, its tags go."""
    for one in backend.addresses:
        if one.eni is eni:
            one.eni = one.instance = one.association_id = one.kip_private = None
    backend.enis.pop(eni.id, None)
    backend.tags.pop(eni.id, None)


def attach(machine: Any, eni: Any, index: int, *, delete_on_termination: bool) -> None:
    """Attach an interface. Raises Refusal when either side is not free for it."""
    check_attachable(machine, eni, index)
    machine.attach_eni(eni, index)
    eni.delete_on_termination = delete_on_termination


def check_attachable(machine: Any, eni: Any, index: int) -> None:
    """Raises Refusal as "Amazon EC2 API Reference, AttachNetworkInterface" and the error codes have it."""
    if is_in_use(eni):
        raise Refusal("InvalidNetworkInterface.InUse", f"Interface: [{eni.id}] in use.")
    if index in machine.nics:
        raise Refusal(
            "InvalidParameterValue",
            f"Instance '{machine.id}' already has an interface attached at device index '{index}'.",
        )
    if machine.placement.zone != eni.subnet.availability_zone:
        raise Refusal(
            "InvalidParameterCombination",
            "You may not attach a network interface to an instance if they are not in the same availability zone",
        )
    limits = limits_of(machine.instance_type)
    if len(machine.nics) >= limits.interfaces:
        raise Refusal(
            "AttachmentLimitExceeded",
            f"Interface count {len(machine.nics) + 1} exceeds the limit for {machine.instance_type}",
        )
    check_address_limit(machine.instance_type, len(eni.private_ip_addresses))


def check_address_limit(instance_type: str, count: int) -> None:
    """Raises Refusal (PrivateIpAddressLimitExceeded) when an interface of this type may not have so many."""
    if count > (most := limits_of(instance_type).addresses):
        raise Refusal(
            "PrivateIpAddressLimitExceeded",
            f"Number of private addresses will exceed limit: {instance_type} has {most} an interface.",
        )


def attached_by(backend: Any, attachment_id: str) -> Any:
    """The interface of an attachment. Raises Refusal (InvalidAttachmentID.NotFound)."""
    for eni in backend.enis.values():
        if eni.attachment_id == attachment_id:
            return eni
    raise unknown("eni-attach", attachment_id)


@action("CreateNetworkInterface")
def create(call: Call) -> Mapping[str, Any]:
    def make() -> str:
        of_subnet = subnet(call.backend, call.text("SubnetId"))
        addresses = chosen_addresses(call.backend, of_subnet, call.params)
        groups = groups_for(call.backend, call.params.get("Groups") or [], of_subnet)
        eni = make_interface(
            call.backend, of_subnet, addresses, groups,
            description=call.params.get("Description", ""), tags=call.tags("network-interface"),
        )  # fmt: skip
        return str(eni.id)

    eni = interface(call.backend, once(call, make))
    return {"NetworkInterface": shapes.interface(call.backend, eni), "ClientToken": call.params.get("ClientToken")}


@action("DeleteNetworkInterface")
def delete(call: Call) -> Mapping[str, Any]:
    eni = interface(call.backend, call.text("NetworkInterfaceId"))
    if is_in_use(eni):
        raise Refusal("InvalidNetworkInterface.InUse", f"Network interface '{eni.id}' is currently in use.")
    forget(call.backend, eni)
    return {"Return": True}


@action("AttachNetworkInterface")
def attach_to_instance(call: Call) -> Mapping[str, Any]:
    eni = interface(call.backend, call.text("NetworkInterfaceId"))
    machine = instance(call.backend, call.text("InstanceId"))
    if machine.state not in ("running", "stopped"):
        raise Refusal("IncorrectState", f"Instance '{machine.id}' is not 'running' or 'stopped'.")
    attach(machine, eni, int(call.text("DeviceIndex")), delete_on_termination=False)
    return {"AttachmentId": eni.attachment_id, "NetworkCardIndex": 0}


@action("DetachNetworkInterface")
def detach(call: Call) -> Mapping[str, Any]:
    eni = attached_by(call.backend, call.text("AttachmentId"))
    if eni.device_index == 0:
        raise Refusal("OperationNotPermitted", "The network interface at device index 0 cannot be detached.")
    eni.instance.detach_eni(eni)
    eni.delete_on_termination = False
    return {"Return": True}


@action("ModifyNetworkInterfaceAttribute")
def modify(call: Call) -> Mapping[str, Any]:
    eni = interface(call.backend, call.text("NetworkInterfaceId"))
    params = call.params
    if groups := params.get("Groups"):
        eni._group_set = groups_for(call.backend, groups, eni.subnet)
    if (check := params.get("SourceDestCheck")) is not None:
        eni.source_dest_check = bool(check["Value"])
    if (description := params.get("Description")) is not None:
        eni.description = description["Value"]
    if attachment := params.get("Attachment"):
        if eni.attachment_id != attachment.get("AttachmentId"):
            raise unknown("eni-attach", attachment.get("AttachmentId"))
        eni.delete_on_termination = bool(attachment.get("DeleteOnTermination"))
    return {}


@action("ResetNetworkInterfaceAttribute")
def reset(call: Call) -> Mapping[str, Any]:
    interface(call.backend, call.text("NetworkInterfaceId")).source_dest_check = True
    return {}


@action("DescribeNetworkInterfaceAttribute")
def describe_attribute(call: Call) -> Mapping[str, Any]:
    shape = shapes.interface(call.backend, interface(call.backend, call.text("NetworkInterfaceId")))
    attribute = call.text("Attribute")
    answer: dict[str, Any] = {"NetworkInterfaceId": shape["NetworkInterfaceId"]}
    match attribute:
        case "description":
            answer["Description"] = {"Value": shape["Description"]}
        case "groupSet":
            answer["Groups"] = shape["Groups"]
        case "sourceDestCheck":
            answer["SourceDestCheck"] = {"Value": shape["SourceDestCheck"]}
        case "attachment":
            answer["Attachment"] = shape.get("Attachment")
        case _:
            raise Refusal("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid.")
    return answer


@action("AssignPrivateIpAddresses")
def assign(call: Call) -> Mapping[str, Any]:
    eni = interface(call.backend, call.text("NetworkInterfaceId"))
    wanted = list(call.params.get("PrivateIpAddresses") or [])
    count = int(call.params.get("SecondaryPrivateIpAddressCount") or 0)
    if bool(wanted) == bool(count):
        raise Refusal("InvalidParameterCombination", "Give private IP addresses or a count of them, one of the two.")
    new = [one for one in wanted if one not in {entry["PrivateIpAddress"] for entry in eni.private_ip_addresses}]
    for address in new:
        if call.params.get("AllowReassignment"):
            _take_from_others(call.backend, eni, address)
        check_free(call.backend, eni.subnet, address)
    given = new or (take_free(call.backend, eni.subnet, count) if count else [])
    if eni.instance is not None:
        check_address_limit(eni.instance.instance_type, len(eni.private_ip_addresses) + len(given))
    eni.private_ip_addresses.extend({"Primary": False, "PrivateIpAddress": address} for address in given)
    return {
        "NetworkInterfaceId": eni.id,
        "AssignedPrivateIpAddresses": [{"PrivateIpAddress": address} for address in given],
    }


def _take_from_others(backend: Any, eni: Any, address: str) -> None:
    """Take a secondary address from the interface that has it; a primary one stays."""
    for other in backend.enis.values():
        if other is not eni and other.subnet.id == eni.subnet.id and other.private_ip_address != address:
            _drop(backend, other, address)


def _drop(backend: Any, eni: Any, address: str) -> None:
    eni.private_ip_addresses = [entry for entry in eni.private_ip_addresses if entry["PrivateIpAddress"] != address]
    for one in backend.addresses:
        if one.eni is eni and one.kip_private == address:
            one.eni = one.instance = one.association_id = one.kip_private = None


@action("UnassignPrivateIpAddresses")
def unassign(call: Call) -> Mapping[str, Any]:
    eni = interface(call.backend, call.text("NetworkInterfaceId"))
    has = {entry["PrivateIpAddress"] for entry in eni.private_ip_addresses}
    for address in call.params.get("PrivateIpAddresses") or []:
        if address not in has:
            raise Refusal("InvalidParameterValue", f"Some of [{address}] are not assigned to interface {eni.id}")
        if address == eni.private_ip_address:
            raise Refusal("InvalidParameterValue", f"The primary address {address} of {eni.id} cannot be unassigned")
        _drop(call.backend, eni, address)
    return {}
