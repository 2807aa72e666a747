"""Security groups of cells: what they let in, one that a row makes for its own pods, and drift that it makes by hand.

Whatever is changed is given back. Sources: Amazon EC2 API Reference, CreateSecurityGroup, DeleteSecurityGroup
(DependencyViolation while an interface has it), AuthorizeSecurityGroupIngress; Kip, docs/security-groups.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Any

from kip_conformance.infra.errors import HarnessError, NotRunnable
from kip_conformance.infra.judge.waits import WaitFailed, eventually
from kip_conformance.infra.workloads.group_rules import Admission, GroupRule, admission_at, rules_of

__all__ = ["CellGroups"]

_ADDED = GroupRule("tcp", 4444, 4444, "203.0.113.0/24")
"""A rule that no provider makes, from a range for documentation (RFC 5737): it lets nobody in."""
_OF_CELLS = re.compile(r"kip-.+-CellSecurityGroup")
_RELEASED_WITHIN = 60.0
_DONE_BY_OTHERS = ("InvalidPermission.Duplicate", "InvalidPermission.NotFound")


class CellGroups:
    """Groups of one region by a boto3 client of EC2; those that are made are named after `prefix`.

    Every method raises botocore's errors when the API refuses.
    """

    def __init__(self, ec2: Any, *, prefix: str) -> None:
        self._ec2, self._prefix = ec2, prefix
        self._made: list[str] = []
        self._visited: list[str] = []

    def __enter__(self) -> CellGroups:
        return self

    def __exit__(self, *_: object) -> None:
        while self._visited:
            filters = [{"Name": "vpc-id", "Values": [self._visited.pop()]}]
            found = self._ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
            self._made += [one["GroupId"] for one in found if _OF_CELLS.fullmatch(one["GroupName"])]
        while self._made:
            self._release(self._made.pop())

    def admission(self, address: str) -> Admission:
        """What the groups at an address let in. Raises HarnessError when no interface has it."""
        return admission_at(self._ec2, address)

    def around(self, address: str) -> tuple[Admission, ...]:
        """Two addresses of each range of the network that an address is in, the first and the last, in no group."""
        vpc = self._ec2.describe_vpcs(VpcIds=[self._vpc_of(address)])["Vpcs"][0]
        ranges = [one["CidrBlock"] for one in vpc["CidrBlockAssociationSet"]]
        ends = [end for cidr in ranges for end in (ip_network(cidr)[1], ip_network(cidr)[-2])]
        return tuple(Admission(str(end), frozenset(), ()) for end in ends)

    def admitting(self, ranges: Sequence[str], *, beside: str) -> str:
        """Make a group that lets everything in from these ranges, in the network of the address `beside`; its id."""
        vpc, name = self._vpc_of(beside), f"{self._prefix}-{len(self._made) + 1}"
        made: str = self._ec2.create_security_group(VpcId=vpc, GroupName=name, Description="of one test")["GroupId"]
        self._made.append(made)
        rule = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": cidr} for cidr in ranges]}
        self._ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[rule])
        return made

    def _vpc_of(self, address: str) -> str:
        filters = [{"Name": "addresses.private-ip-address", "Values": [address]}]
        found: str = self._ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"][0]["VpcId"]
        return found

    def visit(self, vpc: str) -> None:
        """Cells will be in a network where there are none otherwise: what their provider makes there goes with ours."""
        self._visited.append(vpc)

    def of_provider(self, address: str) -> str:
        """The id of the provider's own group at a cell's address; empty when the cell has none."""
        groups = self._ec2.describe_security_groups(GroupIds=sorted(self.admission(address).groups))["SecurityGroups"]
        own = [one["GroupId"] for one in groups if one["GroupName"].startswith("kip-")]
        return own[0] if own else ""

    @contextmanager
    def drifted(self, group: str, in_use: Sequence[str]) -> Iterator[Callable[[], str]]:
        """A group with one rule less and one more than it had; yields what says how it still differs, in words.

        What is taken away lets in none of the addresses `in_use`: other tests go on. Raises NotRunnable when every
        rule does.
        """
        before = self._rules(group)
        spare = [rule for rule in sorted(before) if not any(_holds(rule, address) for address in in_use)]
        if not spare:
            raise NotRunnable(f"every rule of {group} is in use: none can be taken away for a while")
        try:
            self._ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[spare[0].permission()])
            self._ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_ADDED.permission()])
            yield lambda: _difference(before, self._rules(group))
        finally:
            now = self._rules(group)
            self._change(self._ec2.authorize_security_group_ingress, group, before - now)
            self._change(self._ec2.revoke_security_group_ingress, group, now - before)

    def _rules(self, group: str) -> frozenset[GroupRule]:
        return rules_of(self._ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"])

    def _change(self, call: Callable[..., object], group: str, rules: frozenset[GroupRule]) -> None:
        """The provider may put it right at the same time."""
        from botocore.exceptions import ClientError

        for rule in rules:
            try:
                call(GroupId=group, IpPermissions=[rule.permission()])
            except ClientError as error:
                if error.response["Error"]["Code"] not in _DONE_BY_OTHERS:
                    raise

    def _release(self, group: str) -> None:
        """Delete it; instances that have it may still be on their way out."""
        from botocore.exceptions import ClientError

        def deleted() -> str:
            try:
                self._ec2.delete_security_group(GroupId=group)
            except ClientError as error:
                code: str = error.response["Error"]["Code"]
                return "" if code == "InvalidGroup.NotFound" else code
            return ""

        try:
            eventually(deleted, lambda code: code == "", within=_RELEASED_WITHIN)
        except WaitFailed as error:
            raise HarnessError(f"security group {group} is left over: {error.last}") from error


def _holds(rule: GroupRule, address: str) -> bool:
    return "/" not in rule.peer or ip_address(address) in ip_network(rule.peer)


def _difference(before: frozenset[GroupRule], now: frozenset[GroupRule]) -> str:
    lacking = [f"lacks {rule}" for rule in sorted(before - now)]
    return "; ".join([*lacking, *(f"has {rule} too much" for rule in sorted(now - before))])
