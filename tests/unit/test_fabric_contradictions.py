"""Network states that contradict themselves: one clear line for each thing, with what and where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from kip_conformance.infra.fabric.contradictions import contradictions
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

TABLE = RouteTable("one", (Route("0.0.0.0/0", "igw"), Route("pl", "s3")), ("vgw",))
MAIN = Vpc(
    "main",
    ("10.20.0.0/16", "100.64.0.0/20"),
    (Subnet("a", "10.20.1.0/24", "one"), Subnet("b", "10.20.16.0/22", "two")),
    (TABLE, RouteTable("two", (Route("10.20.1.0/24", "box"),))),
)
PEER = Vpc("peer", ("172.28.0.0/18",), (Subnet("p", "172.28.1.0/24", "three"),), (RouteTable("three"),))
GOOD = NetworkState(
    vpcs=(MAIN, PEER),
    interfaces=(
        Interface("left", "left", "a", ("10.20.1.11", "10.20.1.12"), ("open",)),
        Interface("box", "box", "b", ("10.20.16.12",), (), source_dest_check=False),
        Interface("box-1", "box", "a", ("10.20.1.13",), (), device="eth1"),
        Interface("far", "far", "p", ("172.28.1.10",), ()),
    ),
    groups=(
        Group("open", (GroupRule("all", ANYWHERE), GroupRule("tcp", "open", (1, 2)), GroupRule("icmp", "pl", (8, -1)))),
    ),
    prefix_lists=(PrefixList("pl", ("192.0.2.8/29",)),),
    internet_gateways=(InternetGateway("igw", "main"),),
    associations=(Association("203.0.113.11", "left", "10.20.1.12"), Association("203.0.113.5", "nat", "10.20.1.5")),
    nat_gateways=(NatGateway("nat", "a", "10.20.1.5"),),
    peerings=(Peering("pcx", ("main", "peer")),),
    vpn_gateways=(VpnGateway("vgw", "main"),),
    vpn_connections=(VpnConnection("vpn", "vgw", "gw", ("192.168.50.0/24",)),),
    gateway_endpoints=(GatewayEndpoint("s3", "main", "pl"),),
    interface_endpoints=(InterfaceEndpoint("ecr", "b", "10.20.16.200", ("open",), "192.0.2.20"),),
    lans=(Lan("outside", "198.51.100.0/24", is_public=True), Lan("site", "192.168.50.0/24")),
    hosts=(Host("web", "outside", "198.51.100.10"), Host("gw", "site", "192.168.50.1", gateway="-")),
)  # fmt: skip


def table(*routes: Route, **more: Any) -> dict[str, Any]:
    changed = RouteTable("one", (*TABLE.routes, *routes), **more)
    return {"vpcs": (replace(MAIN, route_tables=(changed, MAIN.route_tables[1])), PEER)}


def subnets(*more: Subnet) -> dict[str, Any]:
    return {"vpcs": (replace(MAIN, subnets=(*MAIN.subnets, *more)), PEER)}


def left(**fields: Any) -> dict[str, Any]:
    return {"interfaces": (replace(GOOD.interfaces[0], **fields), *GOOD.interfaces[1:])}


def rule(protocol: str, peer: str, ports: tuple[int, int] | None = None) -> dict[str, Any]:
    return {"groups": (Group("open", (), (GroupRule(protocol, peer, ports),)),)}


def one_more(**fields: Any) -> dict[str, Any]:
    return {name: (*getattr(GOOD, name), thing) for name, thing in fields.items()}


def test_the_good_one_has_none():
    assert contradictions(GOOD) == []
    assert contradictions(NetworkState(())) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (left(subnet="c"), "interface left: no subnet c"),
        (left(addresses=()), "interface left has no address"),
        (left(addresses=("10.20.16.13", "10.20.1.12")), "interface left: 10.20.16.13 is outside a (10.20.1.0/24)"),
        (left(addresses=("10.20.1.3", "10.20.1.12")), "interface left: 10.20.1.3 is reserved in a (10.20.1.0/24)"),
        (left(addresses=("10.20.1.255", "10.20.1.12")), "interface left: 10.20.1.255 is reserved in a (10.20.1.0/24)"),
        (left(addresses=("10.20.1.5", "10.20.1.12")),
         "10.20.1.5 is given twice: to interface left and to NAT gateway nat"),
        (left(addresses=("10.20.1", "10.20.1.12")), "interface left: 10.20.1 is no IPv4 address"),
        (left(groups=("open", "shut")), "interface left: no group shut"),
        (left(machine="a/b"), "'a/b': letters, digits and _.- only"),
        (left(device="a-device-too-long"),
         "machine left: 'a-device-too-long' is no device name (15 characters at most)"),
        (left(machine="box"), "machine box: 2 interfaces are eth0"),
        (left(name="nat"), "NAT gateway nat: the name is taken by interface nat"),
        (one_more(interfaces=Interface("bad name", "x", "a", ("10.20.1.9",), ())),
         "interface bad name: letters, digits and _.- only, and not blackhole"),
        (table(Route("10.20.1.5/8", "box")),
         "route table one: 10.20.1.5/8 is no IPv4 range (10.20.1.5/8 has host bits set)"),
        (table(Route("1.2.3.0/24", "missing")), "route table one: 1.2.3.0/24 goes to unknown missing"),
        (table(Route("1.2.3.0/24", "far")), "route table one: 1.2.3.0/24 goes to unknown far"),
        (table(Route("0.0.0.0/0", "nat")), "route table one: 0.0.0.0/0 is there twice"),
        (table(Route("10.20.0.0/16", "box")),
         "route table one: 10.20.0.0/16 is the local route, which cannot be replaced"),
        (table(Route("10.20.16.0/24", "box")),
         "route table one: 10.20.16.0/24 is part of the local route and not exactly a subnet"),
        (table(Route("10.20.16.0/22", "igw")),
         "route table one: 10.20.16.0/22 is part of the local route and can lead to an interface or NAT gateway only"),
        (table(Route("10.20.16.0/25", "blackhole")),
         "route table one: 10.20.16.0/25 is part of the local route and not exactly a subnet"),
        (table(Route("5.0.0.0/8", "s3")), "route table one: 5.0.0.0/8 goes to endpoint s3, which is for pl"),
        (table(propagating=("igw",)), "route table one: propagates from unknown igw"),
        (subnets(Subnet("c", "10.20.2.0/24", "none")), "subnet c: no route table none"),
        (subnets(Subnet("c", "10.21.2.0/24", "one")), "subnet c: 10.21.2.0/24 is outside VPC main"),
        (subnets(Subnet("c", "10.20.0.0/20", "one")), "subnets a and c overlap"),
        (subnets(Subnet("p", "10.20.2.0/24", "one")), "subnet p is there 2 times"),
        (subnets(Subnet("c", "fd00::/64", "one")), "subnet c: fd00::/64 is no IPv4 range"),
        ({"vpcs": (replace(MAIN, cidrs=("10.20.0.0/16", "10.20.0.0/17")), PEER)},
         "VPC main: 10.20.0.0/16 and 10.20.0.0/17 overlap"),
        ({"vpcs": (MAIN, PEER, Vpc("none", (), (), ()))}, "VPC none has no range"),
        (rule("all", "friends"), "group open: friends is no group, no prefix list and no range"),
        (rule("sctp", ANYWHERE), "group open: no protocol sctp"),
        (rule("256", ANYWHERE), "group open: no protocol 256"),
        (rule("tcp", ANYWHERE, (80, 79)), "group open: ports 80-79 are no range"),
        (rule("icmp", ANYWHERE, (300, 0)), "group open: no ICMP type 300 with code 0"),
        (rule("all", ANYWHERE, (1, 2)), "group open: protocol all has no ports"),
        (one_more(internet_gateways=InternetGateway("igw-2", "main")),
         "internet gateway igw-2: VPC main has igw already"),
        (one_more(internet_gateways=InternetGateway("igw-2", "none")), "internet gateway igw-2: no VPC none"),
        (one_more(internet_gateways=InternetGateway("igw-2", "peer", "x")), "internet gateway igw-2: no route table x"),
        (one_more(associations=Association("203.0.113.11", "left", "10.20.1.11")),
         "public address 203.0.113.11 is associated 2 times"),
        (one_more(associations=Association("203.0.113.12", "left", "10.20.1.12")),
         "left: 10.20.1.12 has 2 public addresses"),
        (one_more(associations=Association("203.0.113.12", "left", "10.20.1.99")),
         "public address 203.0.113.12: 10.20.1.99 is no address of left"),
        (one_more(associations=Association("203.0.113.12", "none", "10.20.1.99")),
         "public address 203.0.113.12: no interface or NAT gateway none"),
        (one_more(associations=Association("198.51.100.77", "left", "10.20.1.11")),
         "public address 198.51.100.77 is an address of network outside"),
        (one_more(peerings=Peering("pcx-2", ("peer", "main"))), "pcx-2: peer and main are peered by pcx"),
        (one_more(peerings=Peering("pcx-2", ("peer", "none"))), "peering pcx-2: no VPC none"),
        (one_more(peerings=Peering("pcx-2", ("main", "main"))), "peering pcx-2: main with itself"),
        ({**one_more(peerings=Peering("pcx-2", ("main", "twin")), vpcs=Vpc("twin", ("10.20.128.0/17",), (), ()))},
         "peering pcx-2: 10.20.0.0/16 of main and 10.20.128.0/17 of twin overlap"),
        (one_more(gateway_endpoints=GatewayEndpoint("s3-2", "none", "pl-2")), "endpoint s3-2: no prefix list pl-2"),
        (one_more(vpn_connections=VpnConnection("vpn-2", "igw", "gw", ())),
         "VPN connection vpn-2: no virtual private gateway igw"),
        (one_more(vpn_connections=VpnConnection("vpn-2", "vgw", "left", ())),
         "VPN connection vpn-2: no place of a machine left"),
        (one_more(hosts=Host("x", "none", "198.51.100.9")), "place x/eth0: no network none"),
        (one_more(hosts=Host("x", "outside", "198.51.101.9")),
         "place x/eth0: 198.51.101.9 is no host address of outside (198.51.100.0/24)"),
        (one_more(hosts=Host("x", "outside", "198.51.100.1")),
         "place x/eth0: 198.51.100.1 is the internet's own address in outside"),
        (one_more(hosts=Host("x", "site", "192.168.50.1")), "192.168.50.1 is given twice: to gw/eth0 and to x/eth0"),
        (one_more(lans=Lan("more", "198.51.100.128/25", is_public=True)),
         "public networks 198.51.100.0/24 and 198.51.100.128/25 overlap"),
    ],
)  # fmt: skip
def test_a_contradiction_is_one_line(change, line):
    found = contradictions(replace(GOOD, **change))

    assert any(line in one for one in found), found
    assert all("\n" not in one for one in found)


def test_all_of_them_are_said_at_once():
    broken = replace(GOOD, **left(groups=("shut",)), **one_more(peerings=Peering("pcx-2", ("main", "main"))))

    with pytest.raises(ValueError, match=r"no group shut\npeering pcx-2: main with itself"):
        broken.validate()


def test_ranges_may_overlap_between_vpcs_that_are_not_peered():
    twin = Vpc("twin", ("10.20.0.0/16",), (Subnet("t", "10.20.1.0/24", "t"),), (RouteTable("t"),))
    same = Interface("same", "same", "t", ("10.20.1.11",), ())

    assert contradictions(replace(GOOD, **one_more(vpcs=twin, interfaces=same))) == []


def test_a_route_that_leads_to_something_gone_may_be_a_subnets():
    assert contradictions(replace(GOOD, **table(Route("10.20.16.0/22", "blackhole")))) == []


def test_a_public_address_may_be_there_before_the_internet_gateway():
    assert (
        contradictions(replace(GOOD, **one_more(associations=Association("203.0.113.12", "far", "172.28.1.10")))) == []
    )
