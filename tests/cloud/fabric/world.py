"""The network that the facts are about: four VPCs, a site, the region's services and a web server outside.

main      10.20.0.0/16 and 100.64.0.0/20   igw, NAT gateway, vgw to the site, S3 and ECR endpoints
peer      172.28.0.0/18                    peered with main and with beyond; igw
beyond    172.29.0.0/16                    peered with peer only
stranger  10.20.0.0/16                     the same ranges and addresses as main; an S3 endpoint
"""

from __future__ import annotations

from kip_conformance.infra.fabric.groups import ANYWHERE
from kip_conformance.infra.fabric.state import (
    Association,
    GatewayEndpoint,
    Group,
    GroupRule,
    Host,
    Interface,
    InterfaceEndpoint,
    InternetGateway,
    Lan,
    NatGateway,
    NetworkState,
    Peering,
    PrefixList,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpnConnection,
    VpnGateway,
)

ONPREM = "192.168.50.0/24"
ONPREM_PODS = "10.250.0.0/24"
NEVER_PROPAGATED = ("10.20.64.0/24", "172.29.0.0/16")
"""Ranges of the site that a part of the local route, or a static route, is in the way of."""
WEB, WEB_2, S3, ECR = "198.51.100.10", "198.51.100.200", "192.0.2.10", "192.0.2.20"
PUBLIC_NAT, PUBLIC_WEB, PUBLIC_SECOND, PUBLIC_TWO = "203.0.113.5", "203.0.113.11", "203.0.113.12", "203.0.113.40"
PUBLIC_PEERS, PUBLIC_FAR = "203.0.113.50", "203.0.113.61"

PUBLIC = RouteTable(
    "public",
    (Route("0.0.0.0/0", "igw-main"), Route("172.28.0.0/18", "pcx"), Route("172.29.0.0/16", "pcx")),
    propagating=("vgw",),
)
PRIVATE = RouteTable(
    "private",
    (
        Route("0.0.0.0/0", "nat"),
        Route("pl-s3", "s3-main"),
        Route("172.28.0.0/18", "pcx"),
        Route("10.244.0.0/24", "eni-0123456789abcdef0"),
        Route("198.51.100.128/25", "blackhole"),
        Route("10.245.0.0/24", "eni-app"),
    ),
)
MAIN = Vpc(
    "main",
    ("10.20.0.0/16", "100.64.0.0/20"),
    (
        Subnet("public-a", "10.20.1.0/24", "public", "a"),
        Subnet("public-b", "10.20.2.0/25", "public", "b"),
        Subnet("private-a", "10.20.16.0/22", "private", "a"),
        Subnet("private-b", "10.20.32.0/28", "isolated", "b"),
        Subnet("wide", "100.64.1.0/24", "private", "a"),
    ),
    (PUBLIC, PRIVATE, RouteTable("isolated", (Route(ONPREM, "vgw"),))),
)
PEER = Vpc(
    "peer",
    ("172.28.0.0/18",),
    (Subnet("peer-a", "172.28.1.0/24", "peer-public"), Subnet("peer-b", "172.28.2.0/24", "peer-quiet")),
    (
        RouteTable(
            "peer-public",
            (
                Route("0.0.0.0/0", "igw-peer"),
                Route("10.20.0.0/16", "pcx"),
                Route("100.64.0.0/20", "pcx"),
                Route("172.29.0.0/16", "pcx-far"),
                Route(ONPREM, "pcx"),
                Route("pl-s3", "pcx"),
            ),
        ),
        RouteTable("peer-quiet"),
    ),
)
BEYOND = Vpc(
    "beyond",
    ("172.29.0.0/16",),
    (Subnet("beyond-a", "172.29.1.0/24", "beyond"),),
    (RouteTable("beyond", (Route("172.28.0.0/18", "pcx-far"), Route("10.20.0.0/16", "pcx-far"))),),
)
STRANGER = Vpc(
    "stranger",
    ("10.20.0.0/16",),
    (Subnet("stranger-a", "10.20.1.0/24", "stranger"), Subnet("stranger-b", "10.20.16.0/22", "stranger")),
    (RouteTable("stranger", (Route("pl-s3", "s3-stranger"),)),),
)
GROUPS = (
    Group("open", (GroupRule("all", ANYWHERE),)),
    Group("web", (GroupRule("tcp", ANYWHERE, (80, 80)), GroupRule("icmp", ANYWHERE, (8, -1)))),
    Group("inside", (GroupRule("all", "10.20.0.0/16"), GroupRule("all", "100.64.0.0/20"))),
    Group("friends", (GroupRule("tcp", "friends", (8080, 8080)), GroupRule("udp", "friends", (5000, 5010)))),
    Group("listed", (GroupRule("tcp", "pl-offices", (8080, 8080)), GroupRule("47", "10.20.1.0/24"))),
    Group("quiet", (GroupRule("tcp", "10.20.1.0/24", (80, 80)),), ()),
    Group(
        "narrow",
        (),
        (
            GroupRule("tcp", ANYWHERE, (80, 80)),
            GroupRule("udp", "10.20.16.0/22", (5000, 5000)),
            GroupRule("tcp", "friends", (8080, 8080)),
        ),
    ),
    Group("peers", (GroupRule("tcp", "across", (80, 80)),)),
    Group("across"),
    Group("endpoint", (GroupRule("tcp", "10.20.16.0/22", (443, 443)), GroupRule("tcp", "172.28.0.0/18", (443, 443)))),
)
INTERFACES = (
    Interface("eni-web", "web", "public-a", ("10.20.1.11", "10.20.1.12"), ("web",)),
    Interface("eni-bare", "bare", "public-a", ("10.20.1.20",), ("open",)),
    Interface("eni-other", "other", "public-b", ("10.20.2.11",), ("inside", "friends")),
    Interface("eni-app", "app", "private-a", ("10.20.16.12",), ("inside",)),
    Interface("eni-0123456789abcdef0", "router", "private-a", ("10.20.16.20",), ("open",), source_dest_check=False),
    Interface("eni-lone", "lone", "private-b", ("10.20.32.4",), ("open",)),
    Interface("eni-wide", "wide", "wide", ("100.64.1.10",), ("open",)),
    Interface("eni-friend", "friend", "public-a", ("10.20.1.30",), ("friends", "listed")),
    Interface("eni-quiet", "quiet", "private-a", ("10.20.16.30",), ("quiet",)),
    Interface("eni-narrow", "narrow", "private-a", ("10.20.16.31",), ("narrow",)),
    Interface("eni-two-0", "two", "public-a", ("10.20.1.40",), ("open",)),
    Interface("eni-two-1", "two", "private-a", ("10.20.16.40",), ("open",), device="eth1"),
    Interface("eni-twin-0", "twin", "public-a", ("10.20.1.41",), ("open",), has_source_routing=True),
    Interface("eni-twin-1", "twin", "private-a", ("10.20.16.41",), ("open",), device="eth1", has_source_routing=True),
    Interface("eni-peers", "peers", "public-a", ("10.20.1.50",), ("peers",)),
    Interface("eni-far", "far", "peer-a", ("172.28.1.10",), ("open", "across")),
    Interface("eni-mute", "mute", "peer-b", ("172.28.2.10",), ("open",)),
    Interface("eni-beyond", "beyond", "beyond-a", ("172.29.1.10",), ("open",)),
    Interface("eni-strange", "strange", "stranger-a", ("10.20.1.11",), ("open",)),
    Interface("eni-stranger", "stranger", "stranger-b", ("10.20.16.12",), ("open",)),
)


def world() -> NetworkState:
    return NetworkState(
        vpcs=(MAIN, PEER, BEYOND, STRANGER),
        interfaces=INTERFACES,
        groups=GROUPS,
        prefix_lists=(PrefixList("pl-s3", ("192.0.2.8/29",)), PrefixList("pl-offices", ("10.20.2.0/25", ONPREM))),
        internet_gateways=(InternetGateway("igw-main", "main"), InternetGateway("igw-peer", "peer")),
        associations=(
            Association(PUBLIC_NAT, "nat", "10.20.1.5"),
            Association(PUBLIC_WEB, "eni-web", "10.20.1.11"),
            Association(PUBLIC_SECOND, "eni-web", "10.20.1.12"),
            Association(PUBLIC_FAR, "eni-far", "172.28.1.10"),
            Association(PUBLIC_TWO, "eni-two-0", "10.20.1.40"),
            Association(PUBLIC_PEERS, "eni-peers", "10.20.1.50"),
        ),
        nat_gateways=(NatGateway("nat", "public-a", "10.20.1.5"),),
        peerings=(Peering("pcx", ("main", "peer")), Peering("pcx-far", ("peer", "beyond"))),
        vpn_gateways=(VpnGateway("vgw", "main"),),
        vpn_connections=(VpnConnection("vpn", "vgw", "onprem-gw", (ONPREM, ONPREM_PODS, *NEVER_PROPAGATED)),),
        gateway_endpoints=(
            GatewayEndpoint("s3-main", "main", "pl-s3"),
            GatewayEndpoint("s3-stranger", "stranger", "pl-s3"),
        ),
        interface_endpoints=(InterfaceEndpoint("ecr", "private-a", "10.20.16.200", ("endpoint",), ECR),),
        lans=(
            Lan("outside", "198.51.100.0/24", is_public=True),
            Lan("services", "192.0.2.0/24", is_public=True, mtu=8500),
            Lan("onprem", ONPREM),
        ),
        hosts=(
            Host("webserver", "outside", WEB),
            Host("webserver-2", "outside", WEB_2),
            Host("s3", "services", S3),
            Host("ecr", "services", ECR),
            Host("onprem-gw", "onprem", "192.168.50.1", gateway="-", routes=((ONPREM_PODS, "192.168.50.20"),)),
            Host("onprem-host", "onprem", "192.168.50.10", gateway="192.168.50.1"),
            Host("onprem-node", "onprem", "192.168.50.20", gateway="192.168.50.1"),
        ),
    )
