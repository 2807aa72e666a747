"""The provider's own security group: there is one, and it says what it should, whatever was done to it by hand.

Source: Kip, docs/security-groups.md: all ports to the VPC, here to every range of it, and to each of extraCIDRs; the
way out is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.provider.cloud import Cloud, CloudRefusal

__all__ = ["Rule", "differences", "ensure_group", "group_name", "rules_of", "wanted_rules"]


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """One protocol from or to one range. `first` and `last` are ports, of ICMP type and code; -1 is any."""

    protocol: str
    first: int
    last: int
    peer: str

    def permission(self) -> dict[str, Any]:
        """As the API takes it."""
        kind, key = _kind_of(self.peer)
        made: dict[str, Any] = {"IpProtocol": self.protocol, kind: [{key: self.peer}]}
        if self.protocol != "-1":
            made |= {"FromPort": self.first, "ToPort": self.last}
        return made


def _kind_of(peer: str) -> tuple[str, str]:
    """Where in a permission a peer stands: the list, and the key in it."""
    if peer.startswith("sg-"):
        return "UserIdGroupPairs", "GroupId"
    if peer.startswith("pl-"):
        return "PrefixListIds", "PrefixListId"
    return ("Ipv6Ranges", "CidrIpv6") if ":" in peer else ("IpRanges", "CidrIp")


def group_name(controller: str) -> str:
    return f"kip-{controller}-CellSecurityGroup"


def wanted_rules(vpc_cidrs: Iterable[str], extra_cidrs: Iterable[str]) -> set[Rule]:
    """What comes in: everything of TCP, UDP and ICMP from the VPC's ranges and the extra ones."""
    protocols = (("tcp", 0, 65535), ("udp", 0, 65535), ("icmp", -1, -1))
    return {Rule(name, first, last, peer) for peer in {*vpc_cidrs, *extra_cidrs} for name, first, last in protocols}


def rules_of(permissions: Sequence[dict[str, Any]]) -> set[Rule]:
    """The rules that a group has, as the API describes them."""
    found = set()
    for one in permissions:
        protocol = one["IpProtocol"]
        first, last = (-1, -1) if protocol == "-1" else (one.get("FromPort", -1), one.get("ToPort", -1))
        peers = [peer["CidrIp"] for peer in one.get("IpRanges", [])]
        peers += [peer["CidrIpv6"] for peer in one.get("Ipv6Ranges", [])]
        peers += [peer["GroupId"] for peer in one.get("UserIdGroupPairs", [])]
        peers += [peer["PrefixListId"] for peer in one.get("PrefixListIds", [])]
        found |= {Rule(protocol, first, last, peer) for peer in peers}
    return found


OPEN = Rule("-1", -1, -1, "0.0.0.0/0")
"""The way out."""


def differences(is_now: set[Rule], wanted: set[Rule]) -> tuple[list[Rule], list[Rule]]:
    """What to add and what to take away, in a fixed order."""
    return sorted(wanted - is_now), sorted(is_now - wanted)


async def ensure_group(cloud: Cloud, vpc: str, controller: str, tags: dict[str, str], wanted: set[Rule]) -> str:
    """Make the group, or make it right again; returns its id. Raises CloudRefusal.

    What is lacking is added before what is too much goes, so that nothing that is allowed is cut meanwhile.
    """
    name = group_name(controller)
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": [name]}]
    found = await cloud.all("describe_security_groups", Filters=filters)
    if not found:
        try:
            made = await cloud.call(
                "create_security_group",
                VpcId=vpc,
                GroupName=name,
                Description="Kip cells",
                TagSpecifications=[{"ResourceType": "security-group", "Tags": tag_list({**tags, "Name": name})}],
            )
            # A new group lets everything out (Amazon VPC User Guide, Security groups).
            group: dict[str, Any] = {"GroupId": made["GroupId"], "IpPermissionsEgress": [OPEN.permission()]}
        except CloudRefusal as error:
            if error.code != "InvalidGroup.Duplicate":
                raise
            (group,) = await cloud.all("describe_security_groups", Filters=filters)
    else:
        group = found[0]
    identifier: str = group["GroupId"]
    for direction, permissions, rules in (
        ("ingress", group.get("IpPermissions", []), wanted),
        ("egress", group.get("IpPermissionsEgress", []), {OPEN}),
    ):
        lacking, too_many = differences(rules_of(permissions), rules)
        await _change(
            cloud, f"authorize_security_group_{direction}", identifier, lacking, "InvalidPermission.Duplicate"
        )
        await _change(cloud, f"revoke_security_group_{direction}", identifier, too_many, "InvalidPermission.NotFound")
    return identifier


async def _change(cloud: Cloud, action: str, group: str, rules: Sequence[Rule], fine: str) -> None:
    if not rules:
        return
    try:
        await cloud.call(action, GroupId=group, IpPermissions=[rule.permission() for rule in rules])
    except CloudRefusal as error:
        if error.code != fine:  # somebody else was faster; the next look says whether anything is left to do
            raise


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as the API takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
