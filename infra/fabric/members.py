"""Who is a member of a group, as a VPC sees it, and what a prefix list comes to. Computed once for a whole state."""

from __future__ import annotations

from kip_conformance.infra.fabric.config import NamedSet
from kip_conformance.infra.fabric.names import set_name
from kip_conformance.infra.fabric.ranges import joined
from kip_conformance.infra.fabric.state import NetworkState

__all__ = ["Members"]


class Members:
    """Private addresses by group and VPC.

    A group's members are seen from their own VPC and from those peered with it (Amazon VPC Peering Guide, "Update
    your security groups to reference peer security groups"): ranges of strangers may overlap.
    """

    def __init__(self, state: NetworkState) -> None:
        self._found: dict[tuple[str, str], list[str]] = {}
        self._peers = {vpc.name: (vpc.name, *state.peers_of(vpc.name)) for vpc in state.vpcs}
        self._lists = {one.name: joined(one.cidrs) for one in state.prefix_lists}
        self._names = {group.name: set_name("g", group.name) for group in state.groups}
        self._names |= {one.name: set_name("p", one.name) for one in state.prefix_lists}
        for interface in state.interfaces:
            for group in interface.groups:
                self._found.setdefault((group, state.vpc_of(interface).name), []).extend(interface.addresses)
        for endpoint in state.interface_endpoints:
            for group in endpoint.groups:
                self._found.setdefault((group, state.vpc_at(endpoint.subnet).name), []).append(endpoint.address)
        self._seen: dict[tuple[str, str], tuple[str, ...]] = {}

    def of(self, group: str, vpc: str) -> tuple[str, ...]:
        """The addresses of the members of `group` that interfaces of `vpc` know."""
        if (group, vpc) not in self._seen:
            found = {a for name in self._peers[vpc] for a in self._found.get((group, name), ())}
            self._seen[group, vpc] = tuple(sorted(found))
        return self._seen[group, vpc]

    def set_name(self, peer: str) -> str:
        """The nft set that stands for a rule's peer: a group's or a prefix list's; nothing for a CIDR."""
        return self._names.get(peer, "")

    def set(self, peer: str, vpc: str) -> NamedSet:
        """That set, as interfaces of `vpc` need it."""
        if peer in self._lists:
            return NamedSet("set", "type ipv4_addr; flags interval;", self._lists[peer])
        return NamedSet("set", "type ipv4_addr;", self.of(peer, vpc))
