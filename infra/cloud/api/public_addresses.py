"""Elastic IP addresses, and the public addresses that instances get by themselves.

An association belongs to one private address, secondary ones included ("Amazon EC2 API Reference, AssociateAddress");
moto knows only interfaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from kip_conformance.infra.cloud.api.addresses import free_public, taken_public
from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.describing import Described, describe
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.lookups import instance, interface, is_attached_to_internet
from kip_conformance.infra.cloud.api.settings import Settings
from kip_conformance.infra.cloud.api.shapes.interfaces import tags
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.utils import random_eip_association_id

__all__ = ["allocated", "associate_with", "give_public", "release", "take_public"]


def _shape(backend: Any, eip: Any) -> dict[str, Any]:
    shape = {
        "AllocationId": eip.allocation_id,
        "Domain": "vpc",
        "NetworkBorderGroup": backend.region_name,
        "PublicIp": eip.public_ip,
        "PublicIpv4Pool": "amazon",
        "Tags": tags(backend, eip.allocation_id),
    }
    if eip.eni is not None:
        shape |= {
            "AssociationId": eip.association_id,
            "NetworkInterfaceId": eip.eni.id,
            "NetworkInterfaceOwnerId": backend.account_id,
            "PrivateIpAddress": eip.kip_private,
        }
        if eip.eni.instance is not None:
            shape["InstanceId"] = eip.eni.instance.id
    return shape


def _asked_for(call: Call) -> list[dict[str, Any]]:
    """The addresses, or those of PublicIps."""
    shapes = [_shape(call.backend, one) for one in call.backend.addresses]
    wanted = call.params.get("PublicIps")
    for public in wanted or []:
        if public not in [one["PublicIp"] for one in shapes]:
            raise Refusal("InvalidAddress.NotFound", f"Address '{public}' not found.")
    return [one for one in shapes if not wanted or one["PublicIp"] in wanted]


describe(
    "DescribeAddresses",
    Described(
        "Addresses", "AllocationIds", "AllocationId", "eipalloc", _asked_for,
        {
            "allocation-id": "AllocationId",
            "association-id": "AssociationId",
            "domain": "Domain",
            "instance-id": "InstanceId",
            "network-border-group": "NetworkBorderGroup",
            "network-interface-id": "NetworkInterfaceId",
            "network-interface-owner-id": "NetworkInterfaceOwnerId",
            "private-ip-address": "PrivateIpAddress",
            "public-ip": "PublicIp",
        },
    ),
)  # fmt: skip


def allocated(backend: Any, allocation_id: str) -> Any:
    """One allocation. Raises Refusal (InvalidAllocationID.NotFound)."""
    for one in backend.addresses:
        if one.allocation_id == allocation_id:
            return one
    raise unknown("eipalloc", allocation_id)


def associate_with(backend: Any, eip: Any, eni: Any, private: str) -> None:
    """Associate, in place of whatever the private address had. A public address of the pool is given back."""
    for one in backend.addresses:
        if one is not eip and one.eni is eni and one.kip_private == private:
            release(one)
    if private == eni.private_ip_address:
        eni.public_ip = None
    eip.eni, eip.instance, eip.kip_private = eni, eni.instance, private
    eip.association_id = random_eip_association_id()


def release(eip: Any) -> None:
    """End an association; the address stays allocated."""
    eip.eni = eip.instance = eip.association_id = eip.kip_private = None


def give_public(backend: Any, settings: Settings, eni: Any) -> None:
    """Give the interface's primary address a public one of the pool, unless it has an Elastic IP address."""
    has = any(one.eni is eni and one.kip_private == eni.private_ip_address for one in backend.addresses)
    if not has and not eni.public_ip:
        eni.public_ip = free_public(backend, settings)[0]


def take_public(eni: Any) -> None:
    """Give the public address of the pool back, as when an instance stops."""
    eni.public_ip = None


@action("AllocateAddress")
def allocate(call: Call) -> Mapping[str, Any]:
    wanted = call.params.get("Address")
    pool = {str(one) for one in IPv4Network(call.settings.public_pool).hosts()} if wanted else set()
    if wanted and wanted not in pool - taken_public(call.backend):
        raise Refusal("InvalidAddress.NotFound", f"Address '{wanted}' is not free, or not of this cloud.")
    address = wanted or free_public(call.backend, call.settings)[0]
    eip = ElasticAddress(call.backend, domain="vpc", address=address, tags=call.tags("elastic-ip"))
    eip.kip_private = None
    call.backend.addresses.append(eip)
    return {
        "AllocationId": eip.allocation_id,
        "Domain": "vpc",
        "NetworkBorderGroup": call.region,
        "PublicIp": eip.public_ip,
        "PublicIpv4Pool": "amazon",
    }


def _named(call: Call) -> Any:
    """The address that AllocationId or PublicIp names."""
    if allocation_id := call.params.get("AllocationId"):
        return allocated(call.backend, allocation_id)
    public = call.text("PublicIp")
    for one in call.backend.addresses:
        if one.public_ip == public:
            return one
    raise Refusal("InvalidAddress.NotFound", f"Address '{public}' not found.")


@action("AssociateAddress")
def associate(call: Call) -> Mapping[str, Any]:
    eip = _named(call)
    if interface_id := call.params.get("NetworkInterfaceId"):
        eni = interface(call.backend, interface_id)
    else:
        machine = instance(call.backend, call.text("InstanceId"))
        if machine.state not in ("pending", "running", "stopping", "stopped"):
            raise Refusal("IncorrectInstanceState", f"Instance '{machine.id}' is {machine.state}.")
        if len(machine.nics) > 1 and not call.params.get("PrivateIpAddress"):
            raise Refusal(
                "InvalidInstanceID",
                f"There are multiple interfaces attached to instance '{machine.id}'. "
                "Please specify an interface ID for the operation instead.",
            )
        eni = machine.nics[0]
    for one in (eip.eni, eni):
        _check_ones_own(one)
    private = call.params.get("PrivateIpAddress") or eni.private_ip_address
    if private not in {entry["PrivateIpAddress"] for entry in eni.private_ip_addresses}:
        raise Refusal("InvalidParameterValue", f"{private} is not an address of {eni.id}")
    if not is_attached_to_internet(call.backend, eni.subnet.vpc_id):
        raise Refusal("Gateway.NotAttached", f"Network {eni.subnet.vpc_id} is not attached to any internet gateway")
    is_same = eip.eni is eni and eip.kip_private == private
    if not is_same and call.params.get("AllowReassociation") is False:
        _check_unassociated(call.backend, eip, eni, private)
    if not is_same:
        # Without the parameter, too: "By default, an address is reassociated automatically" for VPCs.
        associate_with(call.backend, eip, eni, private)
    return {"AssociationId": eip.association_id}


def _check_ones_own(eni: Any) -> None:
    """Raises Refusal when an interface is the cloud's own: a NAT gateway keeps the address that it was made with."""
    if eni is not None and hasattr(eni, "kip_service"):
        raise Refusal("AuthFailure", "You do not have permission to access the specified resource.")


def _check_unassociated(backend: Any, eip: Any, eni: Any, private: str) -> None:
    if eip.association_id:
        raise Refusal(
            "Resource.AlreadyAssociated",
            f"resource {eip.allocation_id} is already associated with associate-id {eip.association_id}",
        )
    for one in backend.addresses:
        if one.eni is eni and one.kip_private == private:
            raise Refusal(
                "Resource.AlreadyAssociated",
                f"resource {eni.id} is already associated with associate-id {one.association_id}",
            )


@action("DisassociateAddress")
def disassociate(call: Call) -> Mapping[str, Any]:
    association_id = call.params.get("AssociationId")
    if association_id:
        found = [one for one in call.backend.addresses if one.association_id == association_id]
        if not found:
            raise unknown("eipassoc", association_id)
        eip = found[0]
    else:
        eip = _named(call)
    eni = eip.eni
    if eni is None:
        return {}
    _check_ones_own(eni)
    private = eip.kip_private
    release(eip)
    # "Amazon EC2 User Guide, Elastic IP addresses": an instance with one interface gets a public address again.
    machine = eni.instance
    is_lone = machine is not None and len(machine.nics) == 1 and machine.state == "running"
    if is_lone and private == eni.private_ip_address and eni.public_ip_auto_assign:
        give_public(call.backend, call.settings, eni)
    return {}


@action("ReleaseAddress")
def release_address(call: Call) -> Mapping[str, Any]:
    eip = _named(call)
    if eip.association_id:
        raise Refusal("InvalidIPAddress.InUse", f"Address {eip.public_ip} is in use.")
    call.backend.addresses.remove(eip)
    call.backend.tags.pop(eip.id, None)
    return {}
