"""What the cloud's documentation says about its network, as one packet each: the reason to believe this one.

A fact names its document. `expected` is what sockets.py says: open from the address that the peer saw, refused,
silent, or the size that fits.
"""

from __future__ import annotations

from dataclasses import dataclass

from kip_conformance.infra.fabric.nic import METADATA, RESOLVER, TIME

from .packets import Probe
from .world import (
    ECR,
    PUBLIC_FAR,
    PUBLIC_NAT,
    PUBLIC_PEERS,
    PUBLIC_SECOND,
    PUBLIC_TWO,
    PUBLIC_WEB,
    S3,
    WEB,
    WEB_2,
)


@dataclass(frozen=True)
class Fact:
    """One sentence, where it is from, the packet that shows it, and what must come of it."""

    name: str
    sentence: str
    document: str
    probe: Probe
    expected: str


ROUTES = "Amazon VPC User Guide, Configure route tables"
PRIORITY = "Amazon VPC User Guide, How route priority works"
OPTIONS = "Amazon VPC User Guide, Example routing options"
CIDRS = "Amazon VPC User Guide, VPC CIDR blocks"
IGW = "Amazon VPC User Guide, Enable internet access using internet gateways"
EIP = "Amazon VPC User Guide, Elastic IP addresses"
NAT = "Amazon VPC User Guide, NAT gateways"
SG = "Amazon VPC User Guide, Security groups"
SG_RULES = "Amazon VPC User Guide, Security group rules"
TRACKING = "Amazon EC2 User Guide, Security group connection tracking"
ENI = "Amazon EC2 User Guide, Elastic network interfaces"
CHECK = "Amazon EC2 User Guide, Modify network interface attributes (source/destination checking)"
PEERING = "Amazon VPC Peering Guide, How VPC peering connections work"
NO_PEERING = "Amazon VPC Peering Guide, VPC peering limitations"
PEER_GROUPS = "Amazon VPC Peering Guide, Update your security groups to reference peer security groups"
S3_ENDPOINT = "AWS PrivateLink Guide, Gateway endpoints for Amazon S3"
GATEWAY_ENDPOINT = "AWS PrivateLink Guide, Gateway endpoints"
ENDPOINT_MTU = "AWS PrivateLink Guide, AWS PrivateLink quotas"
INTERFACE_ENDPOINT = "AWS PrivateLink Guide, Access an AWS service using an interface VPC endpoint"
VPN = "AWS Site-to-Site VPN User Guide, Route tables and route priority"
VPN_HOW = "AWS Site-to-Site VPN User Guide, How AWS Site-to-Site VPN works"
MTU = "Amazon EC2 User Guide, Network maximum transmission unit (MTU)"
DNS = "Amazon VPC User Guide, Understanding Amazon DNS"
IMDS = "Amazon EC2 User Guide, Use the Instance Metadata Service to access instance metadata"
CLOCK = "Amazon EC2 User Guide, Precision clock and time synchronization"

ONPREM_HOST = "192.168.50.10"


def tcp(machine: str, to: str, port: int = 80, source: str = "") -> Probe:
    return Probe(machine, to, "tcp", port, source)


def udp(machine: str, to: str, port: int = 5000, size: int = 0) -> Probe:
    return Probe(machine, to, "udp", port, size=size)


def ping(machine: str, to: str) -> Probe:
    return Probe(machine, to, "icmp", 0)


def raw(machine: str, to: str, number: int) -> Probe:
    return Probe(machine, to, "raw", number)


def whole(machine: str, to: str, size: int) -> Probe:
    return Probe(machine, to, "size", 5000, size=size)


def segments(machine: str, to: str, port: int = 80) -> Probe:
    return Probe(machine, to, "mss", port)


def opened(by: str) -> str:
    return f"open from {by}"


FACTS: tuple[Fact, ...] = tuple(
    Fact(*row)
    for row in (
        # -- the local route and what is beside it
        ("subnets-reach-each-other", "Every route table has a local route within the VPC", ROUTES,
         tcp("bare", "10.20.2.11"), opened("10.20.1.20")),
        ("zones-reach-each-other", "Subnets of different zones are one VPC", ROUTES,
         udp("wide", "10.20.2.11"), opened("100.64.1.10")),
        ("secondary-range-is-local", "A secondary CIDR has a local route too", CIDRS,
         tcp("bare", "100.64.1.10"), opened("10.20.1.20")),
        ("secondary-range-answers", "and reaches the primary one", CIDRS,
         tcp("wide", "10.20.1.20"), opened("100.64.1.10")),
        ("neighbours", "Instances of one subnet reach each other", ROUTES,
         tcp("bare", "10.20.1.11"), opened("10.20.1.20")),
        ("nobody-is-silent", "An address that nobody has answers nothing", ROUTES,
         tcp("bare", "10.20.2.99"), "silent"),
        ("gateway-does-not-answer", "The subnet's base + 1 belongs to the router and answers nothing", CIDRS,
         ping("bare", "10.20.1.1"), "silent"),
        ("no-route-is-silent", "Without a matching route traffic is dropped", ROUTES,
         tcp("lone", WEB), "silent"),
        ("no-route-to-a-peer", "A table without the peering's route does not use it", ROUTES,
         tcp("lone", "172.28.1.10"), "silent"),
        ("blackhole", "A route in state blackhole drops, more specific than the default route", PRIORITY,
         tcp("app", WEB_2), "silent"),
        ("blackhole-is-per-table", "Other tables do not have it", ROUTES,
         tcp("web", WEB_2), opened(PUBLIC_WEB)),
        ("route-to-an-interface", "A route can lead to a network interface", OPTIONS,
         tcp("wide", "10.244.0.1"), opened("100.64.1.10")),
        ("tables-are-per-subnet", "and is there for the subnets of its table only", ROUTES,
         tcp("bare", "10.244.0.1"), "silent"),
        ("route-needs-check-off", "An interface that checks destinations drops what is routed through it", CHECK,
         tcp("wide", "10.245.0.1"), "silent"),
        ("propagated-route", "With propagation on, the connection's routes are in the table", VPN,
         tcp("bare", ONPREM_HOST), opened("10.20.1.20")),
        ("static-route-to-vgw", "A static route to the virtual private gateway does the same", VPN,
         tcp("lone", ONPREM_HOST), opened("10.20.32.4")),
        ("propagation-is-per-table", "Tables without propagation do not have them", VPN,
         tcp("lone", "10.250.0.7"), "silent"),
        ("nat-to-vpn", "A NAT gateway's subnet may have a route to a site: it sees the private address", NAT,
         tcp("app", ONPREM_HOST), opened("10.20.1.5")),
        ("local-beats-propagated", "The local route wins over a propagated one, even a more specific one", VPN,
         tcp("bare", "10.20.64.5"), "silent"),
        ("static-beats-propagated", "A static route wins over a propagated one to the same range", PRIORITY,
         tcp("bare", "172.29.1.10"), "silent"),
        ("reserved-is-silent", "The first four addresses of a subnet are reserved", CIDRS,
         tcp("bare", "10.20.1.3"), "silent"),
        ("no-broadcast", "A VPC knows no broadcast", CIDRS, ping("bare", "10.20.1.255"), "silent"),
        # -- internet gateway
        ("out-by-public-address", "The internet sees the associated public address", IGW,
         tcp("web", WEB), opened(PUBLIC_WEB)),
        ("out-udp", "by UDP as well", IGW, udp("web", WEB), opened(PUBLIC_WEB)),
        ("out-icmp", "and by ICMP", IGW, ping("web", WEB), "open"),
        ("no-public-address", "Without a public address the internet gateway passes nothing", IGW,
         tcp("bare", WEB), "silent"),
        ("in-by-public-address", "A public address is reachable; the client's address stays", IGW,
         tcp("webserver", PUBLIC_WEB), opened(WEB)),
        ("in-icmp", "also by ICMP, where a group admits it", IGW, ping("webserver", PUBLIC_WEB), "open"),
        ("secondary-public-in", "A secondary private address can have a public one", EIP,
         tcp("webserver", PUBLIC_SECOND), opened(WEB)),
        ("secondary-public-out", "and goes out with it", EIP,
         tcp("web", WEB, source="10.20.1.12"), opened(PUBLIC_SECOND)),
        ("unassociated-public", "A public address that stands for nothing is silent", EIP,
         tcp("webserver", "203.0.113.99"), "silent"),
        ("private-from-outside", "Private addresses are not reachable from the internet", IGW,
         tcp("webserver", "10.20.1.11"), "silent"),
        ("groups-after-translation", "Groups hold for what comes in by a public address", SG,
         tcp("webserver", PUBLIC_WEB, 443), "silent"),
        ("own-vpc-by-public", "A public address of the same VPC is reached through the gateway", EIP,
         tcp("web", PUBLIC_TWO), opened(PUBLIC_WEB)),
        ("other-vpc-by-public", "and so is one of another VPC", EIP,
         tcp("web", PUBLIC_FAR), opened(PUBLIC_WEB)),
        ("own-public-address", "An instance reaches itself by its public address", EIP,
         tcp("web", PUBLIC_WEB), opened(PUBLIC_WEB)),
        ("vpc-without-gateway", "A VPC without an internet gateway has no way out", IGW,
         tcp("stranger", WEB), "silent"),
        # -- NAT gateway
        ("nat-tcp", "Instances of a private subnet go out with the NAT gateway's public address", NAT,
         tcp("app", WEB), opened(PUBLIC_NAT)),
        ("nat-udp", "by UDP", NAT, udp("app", WEB), opened(PUBLIC_NAT)),
        ("nat-icmp", "by ICMP", NAT, ping("app", WEB), "open"),
        ("nat-nothing-else", "A NAT gateway supports TCP, UDP and ICMP only", NAT, raw("app", WEB, 47), "silent"),
        ("nat-secondary-range", "for subnets of a secondary CIDR too", NAT, tcp("wide", WEB), opened(PUBLIC_NAT)),
        ("nat-closed-inwards", "Nobody starts a connection through a NAT gateway from outside", NAT,
         tcp("webserver", PUBLIC_NAT), "silent"),
        ("nat-closed-to-the-vpc", "Its private address answers nobody", NAT, tcp("bare", "10.20.1.5"), "silent"),
        ("nat-to-own-public", "Public addresses of the same VPC are reached through it", NAT,
         tcp("app", PUBLIC_TWO), opened(PUBLIC_NAT)),
        ("nat-and-groups", "where groups hold for its public address", NAT, tcp("app", PUBLIC_WEB, 443), "silent"),
        # -- security groups
        ("ingress-denied", "What no inbound rule allows is denied", SG, tcp("bare", "10.20.16.30", 443), "silent"),
        ("egress-denied", "What no outbound rule allows is denied", SG, tcp("quiet", "10.20.2.11"), "silent"),
        ("answers-need-no-rule", "Answers leave whatever the outbound rules are", SG,
         tcp("bare", "10.20.16.30"), opened("10.20.1.20")),
        ("egress-port", "An outbound rule names ports", SG_RULES, tcp("narrow", "10.20.2.11"), opened("10.20.16.31")),
        ("egress-other-port", "and no others are open", SG_RULES, tcp("narrow", "10.20.2.11", 443), "silent"),
        ("egress-range", "An outbound rule names a range", SG_RULES,
         udp("narrow", "10.20.16.12"), opened("10.20.16.31")),
        ("egress-other-range", "and no other is reached", SG_RULES, udp("narrow", "10.20.2.11"), "silent"),
        ("egress-group", "An outbound rule names a group", SG_RULES,
         tcp("narrow", "10.20.2.11", 8080), opened("10.20.16.31")),
        ("egress-other-group", "and whoever is not in it is not reached", SG_RULES,
         tcp("narrow", "10.20.16.12", 8080), "silent"),
        ("group-as-source", "A rule for a group admits its members", SG_RULES,
         tcp("other", "10.20.1.30", 8080), opened("10.20.2.11")),
        ("group-as-source-udp", "with a range of ports, by UDP", SG_RULES,
         udp("other", "10.20.1.30"), opened("10.20.2.11")),
        ("group-keeps-others-out", "and nobody else", SG_RULES, tcp("bare", "10.20.1.30", 8080), "silent"),
        ("group-other-port", "on no other port", SG_RULES, tcp("other", "10.20.1.30"), "silent"),
        ("prefix-list", "A rule for a prefix list admits its ranges", SG_RULES,
         tcp("onprem-host", "10.20.1.30", 8080), opened(ONPREM_HOST)),
        ("several-groups", "The rules of several groups add up", SG,
         raw("bare", "10.20.1.30", 47), opened("10.20.1.20")),
        ("protocol-number", "A rule for a protocol's number admits it from its range only", SG_RULES,
         raw("wide", "10.20.1.30", 47), "silent"),
        ("icmp-type", "A rule for echo requests admits them", SG_RULES, ping("bare", "10.20.1.11"), "open"),
        ("icmp-needs-a-rule", "ICMP is closed without one", SG_RULES, ping("bare", "10.20.1.30"), "silent"),
        ("closed-port-refuses", "An admitted port where nobody listens refuses at once", SG,
         tcp("bare", "10.20.1.40", 81), "refused"),
        ("group-is-private-addresses", "A rule for a group means private addresses, not public ones", SG_RULES,
         tcp("far", PUBLIC_PEERS), "silent"),
        # -- interfaces
        # There is a way back to that source: only the check stands between the two.
        ("source-check", "A source that the interface does not own is dropped", CHECK,
         tcp("app", "100.64.1.10", source="10.245.0.1"), "silent"),
        ("secondary-address", "A secondary private address is reached", ENI,
         tcp("bare", "10.20.1.12"), opened("10.20.1.20")),
        ("secondary-as-source", "and may be a source", ENI,
         tcp("web", "10.20.2.11", source="10.20.1.12"), opened("10.20.1.12")),
        ("second-interface-first", "The first of two interfaces answers", ENI,
         tcp("bare", "10.20.1.40"), opened("10.20.1.20")),
        ("second-interface-asymmetric", "An answer that leaves by the wrong interface is dropped", ENI,
         tcp("bare", "10.20.16.40"), "silent"),
        ("second-interface-routed", "With a route by source the second one answers", ENI,
         tcp("bare", "10.20.16.41"), opened("10.20.1.20")),
        ("second-interface-as-source", "and starts connections", ENI,
         tcp("twin", "10.20.2.11", source="10.20.16.41"), opened("10.20.16.41")),
        ("second-interface-wrong-source", "which are dropped when they leave by the first one", CHECK,
         tcp("two", "10.20.2.11", source="10.20.16.40"), "silent"),
        # -- past the groups
        ("metadata-unfiltered", "Metadata is not filtered by groups", SG,
         tcp("quiet", METADATA), opened("10.20.16.30")),
        ("resolver-unfiltered", "DNS at base + 2 is not filtered by groups", SG,
         udp("quiet", "10.20.0.2", 53), opened("10.20.16.30")),
        ("resolver-tcp", "by TCP as well", DNS, tcp("quiet", "10.20.0.2", 53), opened("10.20.16.30")),
        ("resolver-link-local", "The resolver is at 169.254.169.253 too", DNS,
         udp("quiet", RESOLVER, 53), opened("10.20.16.30")),
        ("time-unfiltered", "The time service is not filtered by groups", CLOCK,
         udp("quiet", TIME, 123), opened("10.20.16.30")),
        ("metadata-is-ones-own", "Link-local services are those of the own instance", IMDS,
         tcp("bare", METADATA), "refused"),
        ("resolver-for-the-vpc-only", "The resolver does not answer from outside of the VPC", DNS,
         udp("onprem-host", "10.20.0.2", 53), "silent"),
        ("resolver-of-the-primary-range", "It is at base + 2 of the primary range only", DNS,
         udp("bare", "100.64.0.2", 53), "silent"),
        # -- peering
        ("peer-in", "Peered VPCs reach each other by private addresses", PEERING,
         tcp("far", "10.20.1.20"), opened("172.28.1.10")),
        ("peer-out", "in both directions", PEERING, tcp("bare", "172.28.1.10"), opened("10.20.1.20")),
        ("peer-secondary-range", "secondary CIDRs too", PEERING, tcp("far", "100.64.1.10"), opened("172.28.1.10")),
        ("peer-needs-both-routes", "A route on one side only carries no answer", PEERING,
         tcp("bare", "172.28.2.10"), "silent"),
        ("peer-of-peer-is-there", "A VPC reaches each of its peers", NO_PEERING,
         tcp("far", "172.29.1.10"), opened("172.28.1.10")),
        ("peer-not-transitive", "but those do not reach each other", NO_PEERING, tcp("beyond", "10.20.1.20"), "silent"),
        ("peer-not-to-vpn", "A peer's VPN connection is not used", NO_PEERING, tcp("far", ONPREM_HOST), "silent"),
        ("peer-not-to-endpoint", "A peer's gateway endpoint is not used", NO_PEERING, tcp("far", S3), "silent"),
        ("peer-group", "A rule can name a group of the peer VPC", PEER_GROUPS,
         tcp("far", "10.20.1.50"), opened("172.28.1.10")),
        ("peer-group-only", "and admits its members only", PEER_GROUPS, tcp("bare", "10.20.1.50"), "silent"),
        ("strangers", "VPCs are isolated, also with equal ranges: each has its own 10.20.1.11", CIDRS,
         tcp("stranger", "10.20.1.11", 443), opened("10.20.16.12")),
        ("peer-public-stays-public", "A peer's public address is reached by public ones", PEERING,
         tcp("far", PUBLIC_TWO), opened(PUBLIC_FAR)),
        # -- endpoints
        ("s3-private-source", "By a gateway endpoint S3 sees private addresses", S3_ENDPOINT,
         tcp("app", S3), opened("10.20.16.12")),
        ("s3-most-specific", "S3 of a table without it is reached through the internet gateway", S3_ENDPOINT,
         tcp("web", S3), opened(PUBLIC_WEB)),
        ("s3-without-internet", "A gateway endpoint needs no internet gateway", GATEWAY_ENDPOINT,
         tcp("stranger", S3), opened("10.20.16.12")),
        ("s3-not-from-vpn", "It cannot be used from the other side of a VPN connection", GATEWAY_ENDPOINT,
         tcp("onprem-host", S3), "silent"),
        ("s3-only-by-its-table", "Tables without a route do not use it", GATEWAY_ENDPOINT,
         tcp("lone", S3), "silent"),
        ("endpoint-is-for-its-service", "It leads to no other service", GATEWAY_ENDPOINT,
         tcp("stranger", ECR), "silent"),
        ("endpoint-interface", "An interface endpoint is an address of the subnet", INTERFACE_ENDPOINT,
         tcp("app", "10.20.16.200", 443), opened("198.18.0.1")),
        ("endpoint-group", "and has groups", INTERFACE_ENDPOINT, tcp("bare", "10.20.16.200", 443), "silent"),
        ("endpoint-port", "for ports as well", INTERFACE_ENDPOINT, tcp("app", "10.20.16.200"), "silent"),
        ("endpoint-tcp-only", "Interface endpoints support TCP only", INTERFACE_ENDPOINT,
         udp("app", "10.20.16.200"), "silent"),
        ("endpoint-from-peer", "It is reached from a peered VPC", INTERFACE_ENDPOINT,
         tcp("far", "10.20.16.200", 443), opened("198.18.0.1")),
        # -- VPN
        ("vpn-in", "A site's host reaches instances by their private addresses", VPN_HOW,
         tcp("onprem-host", "10.20.1.20"), opened(ONPREM_HOST)),
        ("vpn-second-range", "Ranges behind the site are routes of the connection", VPN_HOW,
         tcp("bare", "10.250.0.7"), opened("10.20.1.20")),
        ("vpn-from-second-range", "and come from there", VPN_HOW,
         tcp("onprem-node", "10.20.1.20", source="10.250.0.7"), opened("10.250.0.7")),
        ("vpn-needs-a-way-back", "A subnet without a route back does not answer", VPN,
         tcp("onprem-host", "10.20.16.12"), "silent"),
        ("vpn-not-to-internet", "The VPC's internet gateway is not for a site", NO_PEERING,
         tcp("onprem-host", WEB), "silent"),
        ("vpn-not-to-peer", "nor is its peering", NO_PEERING, tcp("onprem-host", "172.28.1.10"), "silent"),
        # -- MTU
        ("jumbo-inside", "9001 bytes within a VPC", MTU, whole("bare", "10.20.1.40", 9001), "fits 9001"),
        ("jumbo-peering", "9001 bytes between peered VPCs of one region", MTU,
         whole("bare", "172.28.1.10", 9001), "fits 9001"),
        ("internet-1500", "1500 bytes over an internet gateway; the sender is told", MTU,
         whole("web", WEB, 9001), "fits 1500"),
        ("nat-1500", "also behind a NAT gateway, through its translation", MTU, whole("app", WEB, 9001), "fits 1500"),
        ("internet-fragments", "What may be fragmented is", MTU, udp("web", WEB, size=4000), opened(PUBLIC_WEB)),
        ("internet-in-1500", "1500 bytes come in", MTU, whole("webserver", PUBLIC_TWO, 1500), "fits 1500"),
        ("vpn-mtu-out", "A tunnel carries less, and says so to the VPC", MTU,
         whole("bare", ONPREM_HOST, 9001), "fits 1419"),
        ("vpn-mtu-in", "and to the site", MTU, whole("onprem-host", "10.20.1.20", 1500), "fits 1419"),
        ("endpoint-8500", "8500 bytes through an endpoint", ENDPOINT_MTU, whole("app", S3, 8500), "fits 8500"),
        ("endpoint-is-silent", "and nothing is said about more", ENDPOINT_MTU, whole("app", S3, 9001), "silent"),
        ("endpoint-segments", "TCP's segments are cut to that", ENDPOINT_MTU, segments("app", S3), "segments of 8448"),
        ("endpoint-interface-segments", "at interface endpoints, too", ENDPOINT_MTU,
         segments("app", "10.20.16.200", 443), "segments of 8448"),
        ("jumbo-segments", "Segments fill jumbo frames within a VPC", MTU,
         segments("bare", "10.20.1.40"), "segments of 8949"),
    )
)  # fmt: skip
