"""The pairs of devices between namespaces, their addresses on the link, and what every namespace is set to.

Everything between machines is layer 3: permanent neighbours, no ARP, no proxy ARP (its delay and the neighbour
table's limit, which all namespaces share, both bite).
"""

from __future__ import annotations

from ipaddress import IPv4Address

from kip_conformance.infra.fabric.config import Link
from kip_conformance.infra.fabric.names import machine_namespace, nic_namespace, router_device, router_namespace
from kip_conformance.infra.fabric.state import Interface, Vpc

__all__ = [
    "ENDPOINT_MTU",
    "FIRST_END",
    "INTERNET_MTU",
    "MACHINE_SYSCTLS",
    "NAT_MTU",
    "ROUTER_SYSCTLS",
    "SECOND_END",
    "Ends",
    "address_mac",
    "mac",
    "nic_links",
    "wire",
]

INTERNET_MTU = 1500
"""Bytes over an internet gateway; Amazon EC2 User Guide, "Network MTU for your EC2 instance"."""
ENDPOINT_MTU = 8500
"""Bytes through an endpoint; AWS PrivateLink Guide, "AWS PrivateLink quotas"."""
NAT_MTU = 8500
"""Bytes into a NAT gateway; Amazon VPC User Guide, "NAT gateway basics"."""

ROUTER_SYSCTLS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    # Many senders share one piece of the network: their errors must not use up each other's allowance.
    "ipv4/icmp_ratelimit": "0",
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
    # Segments are bridges, and what they carry is no business of the packet filter.
    "-bridge/bridge-nf-call-iptables": "0",
}
MACHINE_SYSCTLS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/conf/all/route_localnet": "0",
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
}

# Each wire is a segment of its own with two ends, so that the same two addresses do for all.
FIRST_END = "02:ff:00:00:00:01"
SECOND_END = "02:ff:00:00:00:02"

# Where both ends of a pair have the same index the kernel takes up to a second to say that the link is up.
_INS_INDEX = 1_000_001

Ends = tuple[tuple[str, str], tuple[str, str]]


def wire(ends: Ends, mtu: int, macs: tuple[str, str] = (FIRST_END, SECOND_END), index: int = 0) -> Link:
    """A pair of devices of `mtu` bytes: (namespace, device) twice. `index` is the first one's, 0 for any."""
    (first, one), (second, other) = ends
    numbered = f" index {index}" if index else ""
    return Link(
        f"link add {one} netns {first} address {macs[0]} mtu {mtu}{numbered} type veth "
        f"peer name {other} netns {second} address {macs[1]} mtu {mtu}",
        ends,
    )


def mac(kind: int, interface: Interface) -> str:
    """An interface's link address by place: 0 in the machine, 0xFE and 0xFD in the NIC, 0xFC in the router.

    In segments hosts have 0xFB, their ports 0xFA and the segment itself 0xF9.
    """
    if kind == 0 and interface.mac:
        return interface.mac
    return address_mac(kind, interface.addresses[0])


def address_mac(kind: int, address: str) -> str:
    """A link address that follows from an IPv4 address: made anew, a device has the one that others know."""
    return ":".join(f"{part:02x}" for part in (0x02, kind, *IPv4Address(address).packed))


def nic_links(interface: Interface, vpc: Vpc, machine: str = "") -> dict[str, Link]:
    """Machine to NIC, and NIC to router; `machine` is the namespace when it is no machine's."""
    nic, inside = nic_namespace(interface.name), machine or machine_namespace(interface.machine)
    return {
        f"{interface.name}/machine": wire(
            ((nic, "ins"), (inside, interface.device)),
            vpc.mtu,
            (mac(0xFE, interface), mac(0, interface)),
            _INS_INDEX,
        ),
        f"{interface.name}/router": wire(
            ((nic, "wire"), (router_namespace(vpc.name), router_device(interface.name))),
            vpc.mtu,
            (mac(0xFD, interface), mac(0xFC, interface)),
        ),
    }
