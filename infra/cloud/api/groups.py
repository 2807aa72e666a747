"""Security groups. moto changes rules rightly; what it lacks is here: groups in use, malformed rules, filters.

Source: "Amazon VPC User Guide, Security groups"; Amazon EC2 API Reference, AuthorizeSecurityGroupIngress.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.describing import Described, describe
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.lookups import all_groups, group, vpc
from kip_conformance.infra.cloud.api.shapes.interfaces import tags

__all__: list[str] = []


def _shape(backend: Any, found: Any) -> dict[str, Any]:
    return {
        "Description": found.description,
        "GroupId": found.id,
        "GroupName": found.name,
        "IpPermissions": _permissions(backend, found.ingress_rules),
        "IpPermissionsEgress": _permissions(backend, found.egress_rules),
        "OwnerId": backend.account_id,
        "SecurityGroupArn": found.arn,
        "Tags": tags(backend, found.id),
        "VpcId": found.vpc_id,
    }


SOURCES = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")


def _permissions(backend: Any, rules: list[Any]) -> list[dict[str, Any]]:
    """Rules of the same protocol and ports in one permission, as the API shows them."""
    grouped: dict[tuple[Any, ...], dict[str, Any]] = {}
    for rule in rules:
        key = (rule.ip_protocol, rule.from_port, rule.to_port)
        permission = grouped.setdefault(
            key,
            {"IpProtocol": rule.ip_protocol, **{name: [] for name in SOURCES}},
        )
        if rule.from_port is not None:
            permission |= {"FromPort": rule.from_port, "ToPort": rule.to_port}
        described = {"Description": rule.ip_range["Description"]} if rule.ip_range.get("Description") else {}
        if rule.ip_range.get("CidrIp"):
            permission["IpRanges"].append({"CidrIp": rule.ip_range["CidrIp"], **described})
        if rule.ip_range.get("CidrIpv6"):
            permission["Ipv6Ranges"].append({"CidrIpv6": rule.ip_range["CidrIpv6"], **described})
        if rule.prefix_list_id:
            permission["PrefixListIds"].append({"PrefixListId": rule.prefix_list_id})
        if rule.source_group:
            pair = {"GroupId": rule.source_group.get("GroupId"), "UserId": backend.account_id}
            if rule.source_group.get("Description"):
                pair["Description"] = rule.source_group["Description"]
            permission["UserIdGroupPairs"].append(pair)
    return list(grouped.values())


def _paths(prefix: str, member: str) -> dict[str, str]:
    return {
        f"{prefix}ip-permission.cidr": f"{member}.IpRanges.CidrIp",
        f"{prefix}ip-permission.from-port": f"{member}.FromPort",
        f"{prefix}ip-permission.group-id": f"{member}.UserIdGroupPairs.GroupId",
        f"{prefix}ip-permission.prefix-list-id": f"{member}.PrefixListIds.PrefixListId",
        f"{prefix}ip-permission.protocol": f"{member}.IpProtocol",
        f"{prefix}ip-permission.to-port": f"{member}.ToPort",
        f"{prefix}ip-permission.user-id": f"{member}.UserIdGroupPairs.UserId",
    }


def _named(call: Call) -> list[dict[str, Any]]:
    """The groups, or those of GroupNames, which is for the default VPC."""
    wanted = call.params.get("GroupNames")
    if not wanted:
        return [_shape(call.backend, one) for one in all_groups(call.backend)]
    default = call.backend.get_default_vpc()
    of_default = call.backend.groups[default.id].values() if default is not None else []
    by_name = {one.name: one for one in of_default}
    for name in wanted:
        if name not in by_name:
            raise Refusal("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
    return [_shape(call.backend, by_name[name]) for name in wanted]


describe(
    "DescribeSecurityGroups",
    Described(
        "SecurityGroups", "GroupIds", "GroupId", "sg", _named,
        {
            "description": "Description",
            "group-id": "GroupId",
            "group-name": "GroupName",
            "owner-id": "OwnerId",
            "vpc-id": "VpcId",
            **_paths("", "IpPermissions"),
            **_paths("egress.", "IpPermissionsEgress"),
        },
    ),
)  # fmt: skip


@action("CreateSecurityGroup")
def create(call: Call) -> Mapping[str, Any]:
    if vpc_id := call.params.get("VpcId"):
        vpc(call.backend, vpc_id)
    elif (default := call.backend.get_default_vpc()) is None:
        raise Refusal("VPCIdNotSpecified", "No default VPC for this user.")
    else:
        call.params["VpcId"] = default.id
    name = call.text("GroupName")
    if name == "default" or name.startswith("sg-"):
        raise Refusal("InvalidParameterValue", f"Invalid security group name: '{name}' is reserved")
    answer = call.moto()
    return {**answer, "Tags": tags(call.backend, answer["GroupId"])}


def _of_call(call: Call) -> Any:
    """The group that a call names: by its id, or by its name in the default VPC."""
    if group_id := call.params.get("GroupId"):
        return group(call.backend, group_id)
    default, wanted = call.backend.get_default_vpc(), call.text("GroupName")
    for one in call.backend.groups[default.id].values() if default is not None else ():
        if one.name == wanted:
            return one
    raise Refusal("InvalidGroup.NotFound", f"The security group '{wanted}' does not exist")


@action("DeleteSecurityGroup")
def delete(call: Call) -> Mapping[str, Any]:
    backend = call.backend
    found = _of_call(call)
    if found.name == "default":
        raise Refusal("CannotDelete", f'the specified group: "{found.id}" name: "default" cannot be deleted by a user')
    is_on_interface = any(found in eni._group_set for eni in backend.enis.values())
    is_meant = any(
        rule.source_group.get("GroupId") == found.id
        for other in all_groups(backend)
        if other is not found
        for rule in [*other.ingress_rules, *other.egress_rules]
    )
    if is_on_interface or is_meant:
        raise Refusal("DependencyViolation", f"resource {found.id} has a dependent object")
    backend.groups[found.vpc_id].pop(found.id)
    backend.tags.pop(found.id, None)
    return {"Return": True, "GroupId": found.id}


@action(
    "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress",
    "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress",
)  # fmt: skip
def change_rules(call: Call) -> Mapping[str, Any]:
    """Rules are checked and put into the form that moto takes; then moto adds or removes them."""
    of_vpc = _of_call(call).vpc_id
    for permission in call.params.get("IpPermissions") or []:
        _check(call, permission, of_vpc)
    if "IpProtocol" in call.params:
        _check(call, call.params, of_vpc)
    before = {rule.id for rule in _rules(call.backend)}
    answer = call.moto()
    # moto's answer has the rules of the last permission only.
    added = [rule for rule in _rules(call.backend) if rule.id not in before]
    return {**answer, "Return": True, "SecurityGroupRules": added} if added else {**answer, "Return": True}


def _rules(backend: Any) -> list[Any]:
    return [rule for one in all_groups(backend) for rule in [*one.ingress_rules, *one.egress_rules]]


def _check(call: Call, permission: dict[str, Any], of_vpc: str) -> None:
    """Raises Refusal when a permission is malformed or means what does not exist; missing ICMP types mean all."""
    protocol = str(permission.get("IpProtocol", "")).lower()
    begin, end = permission.get("FromPort"), permission.get("ToPort")
    if not protocol:
        raise Refusal("MissingParameter", "The request must contain the parameter ipProtocol")
    if protocol in ("tcp", "udp", "6", "17"):
        if begin is None or end is None:
            raise Refusal(
                "InvalidParameterValue",
                "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
            )
        if not 0 <= int(begin) <= int(end) <= 65535:
            raise Refusal("InvalidParameterValue", f"Invalid TCP/UDP port range ({begin}:{end})")
    elif protocol != "-1":
        permission.setdefault("FromPort", -1)
        permission.setdefault("ToPort", -1)
    for entry in permission.get("PrefixListIds") or []:
        if entry.get("PrefixListId") not in call.backend.managed_prefix_lists:
            raise unknown("pl", entry.get("PrefixListId"))
    for entry in permission.get("UserIdGroupPairs") or []:
        if entry.get("GroupId") and not _can_name(call.backend, of_vpc, group(call.backend, entry["GroupId"]).vpc_id):
            raise Refusal(
                "InvalidGroup.NotFound",
                f"You have specified two resources that belong to different networks: {entry['GroupId']}, {of_vpc}",
            )


def _can_name(backend: Any, vpc_id: str, other: str) -> bool:
    """Whether a rule of one VPC's group may name a group of the other: the same, or an active peer."""
    return vpc_id == other or any(
        {one.vpc.id, one.peer_vpc.id} == {vpc_id, other} and one._status.code == "active"
        for one in backend.vpc_pcxs.values()
    )
