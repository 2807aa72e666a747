"""What a change of the network does to what goes on in it: connections, addresses, interfaces, gateways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from kip_conformance.infra.fabric.groups import ANYWHERE, Group, GroupRule
from kip_conformance.infra.fabric.names import (
    internet_gateway_namespace,
    lan_namespace,
    nic_namespace,
    router_namespace,
)
from kip_conformance.infra.fabric.nic import METADATA
from kip_conformance.infra.fabric.reconcile import Fabric, reconcile
from kip_conformance.infra.fabric.state import Association, Interface, NetworkState, Route, RouteTable
from kip_conformance.infra.judge.waits import eventually

from .packets import Packets, Probe
from .world import ECR, MAIN, ONPREM, PEER, PUBLIC, PUBLIC_FAR, PUBLIC_TWO, PUBLIC_WEB, S3, WEB, world


@pytest.fixture
def changed(fabric: Fabric):
    """`with changed(...)`: the world with other fields, as long as the block lasts."""

    @contextmanager
    def change(**fields: Any) -> Iterator[None]:
        reconcile(fabric, replace(world(), **fields))
        try:
            yield
        finally:
            reconcile(fabric, world())

    return change


@pytest.fixture
def ask(packets: Packets):
    """One probe: the machine, the address and whatever a Probe takes; its outcome."""

    def one(*words: Any, **more: Any) -> str:
        return packets.probe(Probe(*words, **more))[0]

    return one


def regrouped(*names: str, **rules: Any) -> tuple[Group, ...]:
    return tuple(replace(group, **rules) if group.name in names else group for group in world().groups)


def reinterfaced(name: str, **fields: Any) -> tuple[Interface, ...]:
    return tuple(replace(one, **fields) if one.name == name else one for one in world().interfaces)


def retabled(table: RouteTable) -> NetworkState:
    tables = tuple(table if one.name == table.name else one for one in MAIN.route_tables)
    return (replace(MAIN, route_tables=tables), *world().vpcs[1:])


@pytest.fixture
def kept(packets: Packets):
    """Connections by name, closed in the end."""
    names: list[str] = []

    def keep(*words: Any) -> str:
        names.append(f"connection {len(names)}")
        assert packets.keep(names[-1], *words) == "answered"
        return names[-1]

    yield keep
    for name in names:
        packets.drop(name)


# -- connection tracking: Amazon EC2 User Guide, Security group connection tracking


@pytest.mark.parametrize(("protocol", "port"), [("tcp", 8080), ("udp", 5000)])
def test_a_tracked_connection_goes_on_when_its_rule_is_removed(changed, packets, kept, protocol, port):
    tracked = kept("other", "10.20.1.30", port, protocol)
    with changed(groups=regrouped("friends", "listed", ingress=())):
        assert packets.say(tracked) == "answered"
        assert packets.probe(Probe("other", "10.20.1.30", protocol, port)) == ["silent"]


@pytest.mark.parametrize(("protocol", "port"), [("tcp", 80), ("udp", 5000)])
def test_an_untracked_connection_ends_with_its_rule(changed, packets, kept, protocol, port):
    """0.0.0.0/0 in and 0.0.0.0/0 out: nothing remembers the flow."""
    untracked = kept("other", "10.20.1.20", port, protocol)
    with changed(groups=regrouped("open", ingress=())):
        assert packets.say(untracked, within=0.5) == "silent"
        assert packets.probe(Probe("other", "10.20.1.20", protocol, port)) == ["silent"]
    assert packets.say(untracked) == "answered"


def test_answers_of_an_untracked_connection_need_the_rule_for_their_direction(changed, packets, kept):
    untracked = kept("other", "10.20.1.20", 80)
    with changed(groups=regrouped("open", egress=())):
        assert packets.say(untracked, within=0.5) == "silent"


def test_a_rule_that_is_narrower_outwards_makes_a_flow_tracked(changed, packets, kept):
    """Open to all inwards, not to all ports outwards: the answers go by tracking, also after the rule has gone."""
    narrow = (GroupRule("tcp", ANYWHERE, (443, 443)),)
    with changed(groups=regrouped("open", egress=narrow)):
        tracked = kept("other", "10.20.1.20", 80)
        reconcile_closed = regrouped("open", ingress=(), egress=narrow)
        with changed(groups=reconcile_closed):
            assert packets.say(tracked) == "answered"


def test_a_connection_that_is_let_out_goes_on_without_the_rule(changed, packets, kept):
    """Egress to a group's own port, from an interface that nobody reaches."""
    tracked = kept("narrow", "10.20.2.11", 80)
    with changed(groups=regrouped("narrow", egress=())):
        assert packets.say(tracked) == "answered"
        assert packets.probe(Probe("narrow", "10.20.2.11")) == ["silent"]


def test_a_rule_reaches_connections_through_a_new_member_at_once(changed, ask):
    """Amazon VPC User Guide, Security group rules: a rule for a group follows its members."""
    assert ask("bare", "10.20.1.30", port=8080) == "silent"
    with changed(interfaces=reinterfaced("eni-bare", groups=("open", "friends"))):
        assert ask("bare", "10.20.1.30", port=8080) == "open from 10.20.1.20"
    assert ask("bare", "10.20.1.30", port=8080) == "silent"


def test_a_prefix_list_grows_and_shrinks_for_every_rule_and_route(changed, ask):
    """Amazon VPC User Guide, Consolidate and manage network CIDR blocks with managed prefix lists."""
    services, offices = world().prefix_lists
    touching = (services, replace(offices, cidrs=(*offices.cidrs, "10.20.2.128/25", "10.20.1.0/24", "10.20.1.16/28")))
    wider = (replace(services, cidrs=(*services.cidrs, "192.0.2.16/29", "192.0.2.0/26")), offices)
    assert ask("bare", "10.20.1.30", port=8080) == "silent"
    with changed(prefix_lists=touching):
        assert ask("bare", "10.20.1.30", port=8080) == "open from 10.20.1.20"
        assert ask("onprem-host", "10.20.1.30", port=8080) == "open from 192.168.50.10"
    assert ask("bare", "10.20.1.30", port=8080) == "silent"
    assert ask("stranger", ECR) == "silent"
    with changed(prefix_lists=wider):
        assert ask("stranger", ECR) == "open from 10.20.16.12"
        assert ask("stranger", S3) == "open from 10.20.16.12"
    assert ask("stranger", ECR) == "silent"


def test_a_change_of_another_rule_disturbs_no_connection(changed, packets, kept):
    connections = [kept("other", "10.20.1.30", 8080), kept("app", WEB, 80), kept("other", "10.20.1.20", 80)]
    with changed(groups=regrouped("friends", ingress=(*world().groups[3].ingress, GroupRule("tcp", ONPREM, (22, 22))))):
        assert [packets.say(name) for name in connections] == ["answered"] * 3


# -- routes: Amazon VPC User Guide, Configure route tables


def test_a_route_that_is_withdrawn_is_a_silent_drop_and_comes_back(changed, ask, packets, kept):
    connection = kept("bare", "172.28.1.10", 80)
    without = replace(PUBLIC, routes=PUBLIC.routes[:1])
    with changed(vpcs=retabled(without)):
        assert ask("bare", "172.28.1.10") == "silent"
        assert packets.say(connection, within=0.5) == "silent"
    assert packets.say(connection) == "answered"


def test_a_subnets_route_wins_over_the_local_one(changed, ask):
    """Example routing options, Routing for a middlebox appliance: the exact range of a subnet to an interface."""
    middlebox = replace(PUBLIC, routes=(*PUBLIC.routes, Route("10.20.16.0/22", "eni-0123456789abcdef0")))
    with changed(vpcs=retabled(middlebox)):
        # There and back by the machine in between, whose own subnet has the local route.
        assert ask("bare", "10.20.16.12") == "open from 10.20.1.20"
        # Four hops more than the usual three: machine, its NIC twice, the router once more.
        assert ask("bare", "10.20.16.12", "icmp", ttl=8) == "open"
        assert ask("bare", "10.20.16.12", "icmp", ttl=7) == "error 11/0"
    assert ask("bare", "10.20.16.12", "icmp", ttl=4) == "open"


def test_a_gateway_route_table_steers_what_comes_in(changed, ask):
    """Gateway route tables: what enters by the internet gateway for a subnet goes to an interface first."""
    tables = (*MAIN.route_tables, RouteTable("edge", (Route("10.20.1.0/24", "eni-0123456789abcdef0"),)))
    gateways = (replace(world().internet_gateways[0], route_table="edge"), *world().internet_gateways[1:])
    with changed(vpcs=(replace(MAIN, route_tables=tables), *world().vpcs[1:]), internet_gateways=gateways):
        assert ask("webserver", PUBLIC_WEB) == f"open from {WEB}"
        assert ask("webserver", PUBLIC_WEB, "icmp", ttl=9) == "open"
        assert ask("webserver", PUBLIC_WEB, "icmp", ttl=8) != "open"
    assert ask("webserver", PUBLIC_WEB, "icmp", ttl=8) == "open"


# -- addresses: Amazon VPC User Guide, Elastic IP addresses; Amazon EC2 User Guide, Secondary IP addresses


def test_a_public_address_that_is_taken_away_ends_its_connections(changed, ask, packets, kept):
    inwards, outwards = kept("webserver", PUBLIC_WEB, 80), kept("web", WEB, 80)
    others = tuple(one for one in world().associations if one.public != PUBLIC_WEB)
    with changed(associations=others):
        assert packets.say(inwards, within=0.5) == "silent"
        assert packets.say(outwards, within=0.5) == "silent"
        assert ask("web", WEB) == "silent"
        assert ask("webserver", PUBLIC_WEB) == "silent"


def test_an_internet_gateway_is_detached_and_attached(changed, ask):
    """Amazon VPC User Guide, Enable internet access using internet gateways."""
    tables = tuple(replace(one, routes=()) if one.name == "peer-public" else one for one in PEER.route_tables)
    cut_off = replace(PEER, route_tables=tables)
    assert ask("webserver", PUBLIC_FAR) == f"open from {WEB}"
    with changed(vpcs=(MAIN, cut_off, *world().vpcs[2:]), internet_gateways=world().internet_gateways[:1]):
        assert ask("webserver", PUBLIC_FAR) == "silent"
        assert ask("web", WEB) == f"open from {PUBLIC_WEB}"
    assert ask("far", WEB) == f"open from {PUBLIC_FAR}"


def test_a_public_address_moves_to_another_interface(changed, ask, packets, kept):
    connection = kept("webserver", PUBLIC_WEB, 80)
    others = tuple(one for one in world().associations if one.public != PUBLIC_WEB)
    with changed(associations=(*others, Association(PUBLIC_WEB, "eni-bare", "10.20.1.20"))):
        assert packets.say(connection, within=0.5) == "silent"
        assert ask("bare", WEB) == f"open from {PUBLIC_WEB}"
        assert ask("webserver", PUBLIC_WEB, port=8080) == f"open from {WEB}"
        assert ask("web", WEB) == "silent"


def test_a_secondary_address_moves_to_another_machine(changed, ask, packets, fabric):
    moved = tuple(
        replace(one, addresses=("10.20.1.11",)) if one.name == "eni-web"
        else replace(one, addresses=(*one.addresses, "10.20.1.12")) if one.name == "eni-bare"
        else one
        for one in world().interfaces
    )  # fmt: skip
    others = tuple(one for one in world().associations if one.private != "10.20.1.12")
    assert ask("other", "10.20.1.12", port=8080) == "silent"
    with changed(interfaces=moved, associations=others):
        fabric.executor.run(["ip", "addr", "add", "10.20.1.12/32", "dev", "lo"], netns="m-bare")
        assert ask("other", "10.20.1.12", port=8080) == "open from 10.20.2.11"
        fabric.executor.run(["ip", "addr", "del", "10.20.1.12/32", "dev", "lo"], netns="m-bare")


def test_an_interface_is_attached_and_detached(changed, ask, fabric):
    """Amazon EC2 User Guide, Attach network interfaces: while the instance runs."""
    third = Interface(
        "eni-third", "bare", "private-a", ("10.20.16.99",), ("open",), device="eth1", has_source_routing=True
    )
    assert ask("other", "10.20.16.99") == "silent"
    with changed(interfaces=(*world().interfaces, third)):
        assert ask("other", "10.20.16.99") == "open from 10.20.2.11"
    assert ask("other", "10.20.16.99") == "silent"
    assert b"eth1" not in fabric.executor.run(["ip", "link"], netns="m-bare").stdout
    assert b"1001" not in fabric.executor.run(["ip", "rule"], netns="m-bare").stdout


def test_an_interface_moves_to_another_machine_with_its_address(changed, ask):
    moved = reinterfaced("eni-twin-1", machine="bare", groups=("open",))
    with changed(interfaces=moved):
        assert ask("other", "10.20.16.41") == "open from 10.20.2.11"
        assert ask("bare", "10.20.2.11", source="10.20.16.41") == "open from 10.20.16.41"


def test_the_source_check_can_be_switched(changed, ask):
    """Amazon EC2 User Guide, Modify network interface attributes."""
    assert ask("wide", "10.245.0.1") == "silent"
    with changed(interfaces=reinterfaced("eni-app", source_dest_check=False, groups=("open",))):
        assert ask("wide", "10.245.0.1") == "open from 100.64.1.10"


# -- gateways


def test_a_peering_that_is_deleted_leaves_its_routes_silent(changed, ask):
    """Amazon VPC Peering Guide: the routes are left and lead nowhere."""

    def hole(table: RouteTable) -> RouteTable:
        return replace(
            table, routes=tuple(replace(r, target="blackhole") if r.target == "pcx" else r for r in table.routes)
        )

    vpcs = tuple(replace(vpc, route_tables=tuple(map(hole, vpc.route_tables))) for vpc in world().vpcs)
    with changed(vpcs=vpcs, peerings=world().peerings[1:]):
        assert ask("far", "10.20.1.20") == "silent"
        assert ask("bare", "172.28.1.10") == "silent"


def test_a_tunnel_that_is_down_is_silent_and_the_second_one_takes_over(changed, ask, fabric):
    connection = world().vpn_connections[0]
    with changed(vpn_connections=(replace(connection, is_up=False),)):
        assert ask("bare", "192.168.50.10") == "silent"
    second = replace(connection, name="vpn-2", mtu=1300)
    with changed(vpn_connections=(replace(connection, is_up=False), second)):
        assert ask("bare", "192.168.50.10") == "open from 10.20.1.20"


def test_a_tunnel_can_be_as_silent_about_size_as_it_is_documented(changed, ask):
    """AWS Site-to-Site VPN User Guide, Limitations: no path MTU discovery."""
    quiet = replace(world().vpn_connections[0], mtu=1380, reports_too_big=False)
    with changed(vpn_connections=(quiet,)):
        assert ask("other", "192.168.50.20", "size", 5000, size=1400) == "silent"
        assert ask("other", "192.168.50.20", "size", 5000, size=1380) == "fits 1380"


def test_equal_connections_of_two_vpcs_to_an_endpoint_are_kept_apart(packets, ask):
    """The same private address and port in two VPCs, at the same time."""
    fixed = [Probe("app", S3, "udp", 5000, source_port=40000), Probe("stranger", S3, "udp", 5000, source_port=40000)]
    assert packets.probe(*fixed) == ["open from 10.20.16.12"] * 2


def test_private_sources_from_outside_are_dropped(ask, fabric):
    """Who pretends to be an instance reaches no group that admits instances."""
    listing = ["nft", "list chain ip gateway forward"]
    dropped = re.compile(r'packets (\d+) bytes \d+ drop comment "an address of the VPC from outside"')

    def count() -> int:
        found = dropped.search(
            fabric.executor.run(listing, netns=internet_gateway_namespace("igw-main")).stdout.decode()
        )
        assert found is not None
        return int(found[1])

    before = count()
    assert ask("webserver", PUBLIC_TWO, source="10.20.1.20") == "silent"
    assert count() > before


# -- what a fault would break


def test_path_mtu_discovery_is_the_routers_doing_and_can_be_broken(ask, fabric):
    namespace = router_namespace("main")
    chain = "chain output { type filter hook output priority 0; icmp type destination-unreachable drop; }"
    rules = f"table ip fault {{ {chain}; }}"
    assert fabric.executor.run(["nft", rules], netns=namespace).returncode == 0
    try:
        assert ask("two", WEB, "size", 5000, size=9001) == "silent"
    finally:
        fabric.executor.run(["nft", "delete table ip fault"], netns=namespace)
    assert ask("two", WEB, "size", 5000, size=9001) == "fits 1500"


def test_names_lead_to_what_a_fault_wants_to_break(fabric):
    names = fabric.executor.run(["ls", "/run/netns"]).stdout.decode().split()
    assert {router_namespace("main"), nic_namespace("eni-web"), lan_namespace("onprem"), "internet"} <= set(names)
    assert {"igw-igw-main", "nat-nat", "vgw-vgw", "vpce-ecr"} <= set(names)
    assert PEER.name in {vpc.name for vpc in world().vpcs}


# -- link-local services


def test_metadata_is_reached_from_a_container_and_by_its_hop_limit_not(packets, ask, fabric):
    """Amazon EC2 User Guide, Use IMDS: a hop limit of 1 keeps the answer from what the instance forwards to."""
    run = fabric.executor.run
    nest = "nested"
    script = f"""set -e
        ip netns add {nest} 2>/dev/null || true
        ip link add in0 netns m-quiet type veth peer name eth0 netns {nest}
        ip -n m-quiet addr add 10.99.0.1/24 dev in0; ip -n m-quiet link set in0 up
        ip -n {nest} addr add 10.99.0.2/24 dev eth0; ip -n {nest} link set eth0 up; ip -n {nest} link set lo up
        ip -n {nest} route add default via 10.99.0.1
        nsenter --net=/run/netns/m-quiet nft 'table ip nest {{ chain post {{ type nat hook postrouting priority 100; \
            oifname "eth0" masquerade; }}; }}'"""
    done = run(["sh", "-c", script])
    assert done.returncode == 0, done.stderr
    try:
        nested = {"where": nest}
        assert ask("", METADATA, **nested) == "open from 10.20.16.30"
        limit = "table ip hops { chain out { type filter hook output priority 0; tcp sport 80 ip ttl set 1; }; }"
        assert run(["nft", limit], netns=nic_namespace("eni-quiet")).returncode == 0
        assert ask("quiet", METADATA) == "open from 10.20.16.30"
        assert ask("", METADATA, **nested) == "silent"
    finally:
        run(["nft", "delete table ip hops"], netns=nic_namespace("eni-quiet"))
        run(["nft", "delete table ip nest"], netns="m-quiet")
        run(["ip", "netns", "del", nest])


def test_another_mtu_of_a_site_is_in_force_on_all_that_hangs_on_it(changed, ask, fabric):
    def links() -> list[str]:
        where = (lan_namespace("onprem"), "m-onprem-host", "m-onprem-gw")
        said = [fabric.executor.run(["ip", "-o", "link"], netns=name).stdout.decode() for name in where]
        return [line for text in said for line in text.splitlines() if re.search(r": (n-|h-|eth0)", line)]

    def mtus() -> set[str]:
        # The kernel tells of a carrier a moment after the link has it.
        lines = eventually(links, lambda seen: all("state UP" in line for line in seen), within=5)
        return set(re.findall(r" mtu (\d+) ", "\n".join(lines)))

    lans = tuple(replace(one, mtu=1400) if one.name == "onprem" else one for one in world().lans)
    assert mtus() == {"1500"}
    with changed(lans=lans):
        assert mtus() == {"1400"}
        assert ask("onprem-host", "10.20.1.20", "tcp", 80).startswith("open")
    assert mtus() == {"1500"}
