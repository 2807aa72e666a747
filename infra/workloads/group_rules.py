"""What security groups let in, as the cloud's API shows them: pure values, and how to read them of an address.

Sources: Amazon EC2 API Reference, DescribeSecurityGroups and IpPermission; Amazon VPC User Guide, Security group rules
(a rule with a group as its source means the private addresses of the interfaces that have this group).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from kip_conformance.infra.errors import HarnessError

__all__ = ["Admission", "GroupRule", "admission_at", "rules_of"]

_ALL = "-1"
_PORTS = (0, 65535)


@dataclass(frozen=True, slots=True, order=True)
class GroupRule:
    """One protocol from one peer, a range or a group. `first` and `last`: ports, of ICMP type and code; -1 is any."""

    protocol: str
    first: int
    last: int
    peer: str

    def __str__(self) -> str:
        ports = f" {self.first}-{self.last}" if self.first >= 0 else ""
        return f"{'all' if self.protocol == _ALL else self.protocol}{ports} from {self.peer}"

    def permission(self) -> dict[str, Any]:
        """As the API takes it. Raises HarnessError for a peer that is no range."""
        if "/" not in self.peer:
            raise HarnessError(f"a rule for {self.peer} is not made here: ranges only")
        made = {"IpProtocol": self.protocol, "IpRanges": [{"CidrIp": self.peer}]}
        return made if self.protocol == _ALL else {**made, "FromPort": self.first, "ToPort": self.last}

    def is_for(self, address: str, groups: Iterable[str]) -> bool:
        """Whether what comes from this address, with these groups, is meant."""
        if "/" not in self.peer:
            return self.peer in groups
        return ip_address(address) in ip_network(self.peer)


@dataclass(frozen=True, slots=True)
class Admission:
    """An address, the ids of the security groups of its interface, and the union of what they let in."""

    address: str
    groups: frozenset[str]
    rules: tuple[GroupRule, ...]

    def closed_to(self, other: Admission) -> tuple[str, ...]:
        """What is not let in from another address: ports of TCP and UDP, and ICMP; nothing when all is."""
        meant = [rule for rule in self.rules if rule.is_for(other.address, other.groups)]
        closed = []
        for protocol in ("tcp", "udp"):
            spans = [_PORTS if rule.protocol == _ALL else (rule.first, rule.last) for rule in _of(meant, protocol)]
            closed += [f"{protocol} {first}-{last}" for first, last in _gaps(spans)]
        return (*closed, *([] if any(rule.first == -1 for rule in _of(meant, "icmp")) else ["icmp"]))


def admission_at(ec2: Any, address: str) -> Admission:
    """By a boto3 client of EC2. Raises HarnessError when no interface has the address."""
    filters = [{"Name": "addresses.private-ip-address", "Values": [address]}]
    found = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    if not found:
        raise HarnessError(f"the cloud knows no interface with the address {address}")
    groups = [group["GroupId"] for group in found[0]["Groups"]]
    described = ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"] if groups else []
    rules = {rule for group in described for rule in rules_of(group["IpPermissions"])}
    return Admission(address, frozenset(groups), tuple(sorted(rules)))


def rules_of(permissions: Sequence[Mapping[str, Any]]) -> frozenset[GroupRule]:
    """One value for each protocol and IPv4 peer of a group's permissions."""
    found = set()
    for one in permissions:
        protocol, first, last = str(one["IpProtocol"]), one.get("FromPort", -1), one.get("ToPort", -1)
        peers = [peer["CidrIp"] for peer in one.get("IpRanges", ())]
        peers += [peer["GroupId"] for peer in one.get("UserIdGroupPairs", ())]
        found |= {GroupRule(protocol, first, last, peer) for peer in peers}
    return frozenset(found)


def _of(rules: Iterable[GroupRule], protocol: str) -> Iterable[GroupRule]:
    return (rule for rule in rules if rule.protocol in (protocol, _ALL))


def _gaps(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What of all ports is in none of these spans."""
    gaps, next_port = [], _PORTS[0]
    for first, last in sorted(spans):
        if first > next_port:
            gaps.append((next_port, first - 1))
        next_port = max(next_port, last + 1)
    return [*gaps, (next_port, _PORTS[1])] if next_port <= _PORTS[1] else gaps
