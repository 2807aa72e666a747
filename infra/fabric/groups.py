"""Security groups and prefix lists, as values: what may arrive at a network interface and what may leave it.

Sources: Amazon VPC User Guide, "Security group rules"; Amazon EC2 User Guide, "Security group connection tracking".
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ANYWHERE", "EVERYTHING", "Group", "GroupRule", "PrefixList"]

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class GroupRule:
    """What a security group lets pass, to or from a peer.

    `protocol` is `all`, `tcp`, `udp`, `icmp` or an IP protocol number as text. `peer` is a CIDR, the name of a group
    or the name of a prefix list; a group stands for the private addresses of its members in the same VPC and in
    peered ones, never for their public addresses. An IPv6 range is nobody's: there is no IPv6 here. `ports` are
    inclusive, None for all; of `icmp` they are type and code, -1 for any.
    """

    protocol: str
    peer: str
    ports: tuple[int, int] | None = None

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.peer

    @property
    def is_anywhere(self) -> bool:
        return self.peer == ANYWHERE

    @property
    def has_all_ports(self) -> bool:
        return self.ports is None or self.ports == (0, 65535)


EVERYTHING = (GroupRule("all", ANYWHERE),)


@dataclass(frozen=True, slots=True)
class Group:
    """A security group: stateful, allow rules only. What it lets out is everything unless said otherwise."""

    name: str
    ingress: tuple[GroupRule, ...] = ()
    egress: tuple[GroupRule, ...] = EVERYTHING


@dataclass(frozen=True, slots=True)
class PrefixList:
    """CIDRs under one name, for rules of groups and for routes."""

    name: str
    cidrs: tuple[str, ...]
