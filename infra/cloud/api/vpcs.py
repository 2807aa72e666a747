"""VPCs and their DHCP options.

moto deletes VPCs in use, does not compare ranges, has no default DHCP options that can be found, and lets a set of
options be of one VPC only. Sources: "Amazon VPC User Guide, VPC CIDR blocks", "... DHCP option sets".
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.describing import Described, describe
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.lookups import all_subnets, vpc
from kip_conformance.infra.cloud.api.shapes import networks as shapes

__all__ = ["ranges_of", "wanted_range"]

describe(
    "DescribeVpcs",
    Described(
        "Vpcs", "VpcIds", "VpcId", "vpc",
        lambda call: [shapes.vpc(call.backend, one) for one in call.backend.vpcs.values()],
        {
            "cidr": "CidrBlock",
            "cidr-block": "CidrBlock",
            "cidr-block-association.association-id": "CidrBlockAssociationSet.AssociationId",
            "cidr-block-association.cidr-block": "CidrBlockAssociationSet.CidrBlock",
            "cidr-block-association.state": "CidrBlockAssociationSet.CidrBlockState.State",
            "dhcp-options-id": "DhcpOptionsId",
            "is-default": "IsDefault",
            "owner-id": "OwnerId",
            "state": "State",
            "vpc-id": "VpcId",
        },
    ),
)  # fmt: skip
describe(
    "DescribeDhcpOptions",
    Described(
        "DhcpOptions", "DhcpOptionsIds", "DhcpOptionsId", "dopt",
        lambda call: [shapes.dhcp_options(call.backend, one) for one in call.backend.dhcp_options_sets.values()],
        {
            "dhcp-options-id": "DhcpOptionsId",
            "key": "DhcpConfigurations.Key",
            "owner-id": "OwnerId",
            "value": "DhcpConfigurations.Values.Value",
        },
    ),
)  # fmt: skip


def wanted_range(text: str, code: str) -> IPv4Network:
    """A range of /16 to /28 in its canonical form. Raises Refusal: InvalidParameterValue, or `code` for the size."""
    try:
        wanted = IPv4Network(text, strict=False)
    except ValueError as error:
        raise Refusal(
            "InvalidParameterValue",
            f"Value ({text}) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
        ) from error
    if not 16 <= wanted.prefixlen <= 28:
        raise Refusal(code, f"The CIDR '{text}' is invalid.")
    return wanted


def ranges_of(found: Any) -> list[IPv4Network]:
    """A VPC's ranges, the primary one first."""
    return [
        IPv4Network(one["cidr_block"])
        for one in found.cidr_block_association_set
        if one["cidr_block_state"]["state"] == "associated"
    ]


@action("CreateVpc")
def create(call: Call) -> Mapping[str, Any]:
    wanted = wanted_range(call.text("CidrBlock"), "InvalidVpc.Range")
    found = call.backend.create_vpc(str(wanted))
    found.dhcp_options = call.backend.dhcp_options_sets.get(call.backend.kip_default_options)
    if tags := call.tags("vpc"):
        call.backend.create_tags([found.id], tags)
    _open_to_itself(call.backend, found)
    return {"Vpc": shapes.vpc(call.backend, found)}


def _open_to_itself(backend: Any, found: Any) -> None:
    """The default group lets in what comes from its own members ("Amazon VPC User Guide, Default security groups")."""
    default = next(one for one in backend.groups[found.id].values() if one.name == "default")
    if not default.ingress_rules:
        backend.authorize_security_group_ingress(
            default.id, "-1", None, None, [], {}, source_groups=[{"GroupId": default.id}], vpc_id=found.id
        )


@action("DeleteVpc")
def delete(call: Call) -> Mapping[str, Any]:
    backend, found = call.backend, vpc(call.backend, call.text("VpcId"))
    own = found.id
    uses = [
        *(one.id for one in all_subnets(backend) if one.vpc_id == own),
        *(one.id for one in backend.enis.values() if one.subnet.vpc_id == own),
        *(one.id for one in backend.internet_gateways.values() if one.vpc is not None and one.vpc.id == own),
        *(one.id for one in backend.route_tables.values() if one.vpc_id == own and not one.main_association_id),
        *(one.id for one in backend.groups[own].values() if one.name != "default"),
        *(one.id for one in backend.vpc_end_points.values() if one.vpc_id == own and one.state != "deleted"),
        *(
            one.id
            for one in backend.vpn_gateways.values()
            if own in one.attachments and one.attachments[own].state == "attached"
        ),
    ]
    if uses:
        raise Refusal("DependencyViolation", f"The vpc '{own}' has dependencies and cannot be deleted: {uses[0]}")
    for table in [one for one in backend.route_tables.values() if one.vpc_id == own]:
        backend.route_tables.pop(table.id)
    for acl in [one for one in backend.network_acls.values() if one.vpc_id == own]:
        backend.network_acls.pop(acl.id)
    for peering in backend.vpc_pcxs.values():
        if found in (peering.vpc, peering.peer_vpc) and peering._status.code in ("pending-acceptance", "active"):
            peering._status.deleted(deleter_id=call.account)
    backend.groups.pop(own)
    backend.vpcs.pop(own)
    backend.tags.pop(own, None)
    return {}


@action("AssociateVpcCidrBlock")
def associate_range(call: Call) -> Mapping[str, Any]:
    found = vpc(call.backend, call.text("VpcId"))
    wanted = wanted_range(call.text("CidrBlock"), "InvalidVpc.Range")
    peers = [
        other
        for one in call.backend.vpc_pcxs.values()
        if one._status.code == "active" and found in (one.vpc, one.peer_vpc)
        for other in (one.vpc, one.peer_vpc)
    ]
    for other in [found, *peers]:
        if clash := next((one for one in ranges_of(other) if one.overlaps(wanted)), None):
            raise Refusal("CidrConflict", f"The CIDR {wanted} conflicts with {clash} of {other.id}")
    made = call.backend.associate_vpc_cidr_block(found.id, str(wanted), False)
    return {
        "VpcId": found.id,
        "CidrBlockAssociation": {
            "AssociationId": made["association_id"],
            "CidrBlock": str(wanted),
            "CidrBlockState": {"State": "associating"},
        },
    }


@action("DisassociateVpcCidrBlock")
def disassociate_range(call: Call) -> Mapping[str, Any]:
    association_id = call.text("AssociationId")
    for found in call.backend.vpcs.values():
        if (entry := found._cidr_block_association_set.get(association_id)) is None:
            continue
        if entry["cidr_block"] == found.cidr_block:
            raise Refusal(
                "OperationNotPermitted",
                f"The vpc CIDR block with association ID {association_id} may not be disassociated. It is the primary "
                "IPv4 CIDR block of the VPC",
            )
        leaving = IPv4Network(entry["cidr_block"])
        for one in all_subnets(call.backend):
            if one.vpc_id == found.id and IPv4Network(one.cidr_block).subnet_of(leaving):
                raise Refusal(
                    "InvalidCidrBlock.InUse", f"The vpc {found.id} currently has a subnet within CIDR block {leaving}"
                )
        for table in call.backend.route_tables.values():
            if table.vpc_id == found.id:
                table._routes = {
                    key: one for key, one in table._routes.items() if one.destination_cidr_block != str(leaving)
                }
        del found._cidr_block_association_set[association_id]
        state = {"State": "disassociating"}
        gone = {"AssociationId": association_id, "CidrBlock": str(leaving), "CidrBlockState": state}
        return {"VpcId": found.id, "CidrBlockAssociation": gone}
    raise Refusal("InvalidVpcCidrBlockAssociationID.NotFound", f"The association ID '{association_id}' does not exist")


@action("ModifyVpcAttribute")
def modify(call: Call) -> Mapping[str, Any]:
    found = vpc(call.backend, call.text("VpcId"))
    for name, attribute in (
        ("EnableDnsSupport", "enable_dns_support"),
        ("EnableDnsHostnames", "enable_dns_hostnames"),
    ):
        if (value := call.params.get(name)) is not None:
            setattr(found, attribute, bool(value["Value"]))
    return {}


@action("CreateDhcpOptions")
def create_options(call: Call) -> Mapping[str, Any]:
    given = {entry.get("Key"): entry.get("Values") or [] for entry in call.params.get("DhcpConfigurations") or []}
    known = ("domain-name-servers", "domain-name", "ntp-servers", "netbios-name-servers", "netbios-node-type")
    if unknown_keys := [key for key in given if key not in (*known, "ipv6-address-preferred-lease-time")]:
        raise Refusal("InvalidParameterValue", f"Value ({unknown_keys[0]}) for parameter name is invalid.")
    made = call.backend.create_dhcp_options(*(given.get(key) for key in known))
    if tags := call.tags("dhcp-options"):
        call.backend.create_tags([made.id], tags)
    return {"DhcpOptions": shapes.dhcp_options(call.backend, made)}


@action("AssociateDhcpOptions")
def associate_options(call: Call) -> Mapping[str, Any]:
    found, wanted = vpc(call.backend, call.text("VpcId")), call.text("DhcpOptionsId")
    if wanted != "default" and wanted not in call.backend.dhcp_options_sets:
        raise unknown("dopt", wanted)
    # "default" is for no options at all, not for the set that every region begins with.
    found.dhcp_options = None if wanted == "default" else call.backend.dhcp_options_sets[wanted]
    return {}


@action("DeleteDhcpOptions")
def delete_options(call: Call) -> Mapping[str, Any]:
    wanted = call.text("DhcpOptionsId")
    if (found := call.backend.dhcp_options_sets.get(wanted)) is None:
        raise unknown("dopt", wanted)
    if any(one.dhcp_options is found for one in call.backend.vpcs.values()):
        raise Refusal("DependencyViolation", f"The dhcpOptions '{wanted}' has dependencies and cannot be deleted.")
    call.backend.dhcp_options_sets.pop(wanted)
    call.backend.tags.pop(wanted, None)
    return {}
