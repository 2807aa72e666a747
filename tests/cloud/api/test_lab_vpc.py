"""What the lab makes of the cloud's API for its address plan, and the network that follows from it."""

from __future__ import annotations

import json
import urllib.request

import pytest
from kip_conformance.infra.cloud.network import network_of
from kip_conformance.infra.cloud.outside import Outside
from kip_conformance.infra.cloud.view import CloudView
from kip_conformance.infra.lab.interconnect import connect_peer, connect_site
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, PLAN, SUBNETS
from kip_conformance.infra.lab.vpc import make_vpc
from kip_conformance.infra.lab.ways_out import make_ways_out, switch_nat


@pytest.fixture
def made(own_server):
    """A server of its own with the whole plan on it, and the ids of the VPC."""
    server = own_server()
    ec2 = server.client()
    vpc = make_vpc(ec2, PLAN)
    connect_site(ec2, PLAN, vpc)
    make_ways_out(ec2, PLAN, vpc)
    connect_peer(ec2, PLAN, vpc)
    return server, vpc


def view_of(server) -> CloudView:
    with urllib.request.urlopen(f"{server.url}/_kip/view") as answer:
        return CloudView.from_json(answer.read())


def routes_of(state, vpc, subnet) -> dict[str, str]:
    """Where each destination leads from a subnet, by its range."""
    main = state.vpc(vpc)
    found = next(one for one in main.subnets if one.cidr == subnet)
    table = next(one for one in main.route_tables if one.name == found.route_table)
    return {route.destination: route.target for route in table.routes} | dict.fromkeys(table.propagating, "propagates")


def test_nodes_are_instances_at_their_addresses_and_pod_ranges_are_routes_to_them(made):
    server, vpc = made
    state = network_of(view_of(server), Outside())
    state.validate()

    assert set(vpc.instances) == {CONTROL_PLANE.name, *(node.name for node in NODES)}
    for node in (CONTROL_PLANE, *NODES):
        interface = state.interface(node.name)
        assert (interface.machine, interface.addresses) == (node.name, (node.address,))
        assert not interface.source_dest_check
    main = state.vpc("main")
    assert main.cidrs == (PLAN.vpc, PLAN.secondary)
    assert {(one.cidr, one.zone[-1]) for one in main.subnets} == {(one.cidr, one.zone) for one in SUBNETS}
    for subnet in SUBNETS:
        assert {node.pod_cidr: node.name for node in NODES}.items() <= routes_of(state, "main", subnet.cidr).items()


def test_each_kind_of_subnet_has_its_own_ways(made):
    server, _ = made
    state = network_of(view_of(server), Outside())
    (nat,), (peering,), (vgw,) = state.nat_gateways, state.peerings, state.vpn_gateways
    s3, s3_of_peer = (
        next(one for one in state.gateway_endpoints if one.vpc == state.vpc(name).name) for name in ("main", "peer")
    )
    public, private_a, private_b = (
        routes_of(state, "main", cidr) for cidr in (PLAN.public_a, PLAN.private_a, PLAN.private_b)
    )

    assert public["0.0.0.0/0"].startswith("igw-")
    assert private_a["0.0.0.0/0"] == nat.name
    assert "0.0.0.0/0" not in private_b
    assert [s3.name in found.values() for found in (public, private_a, private_b)] == [True, True, False]
    for found in (public, private_a, private_b):
        assert found[PLAN.peer] == peering.name
        assert found[vgw.name] == "propagates"
    back = routes_of(state, "peer", PLAN.peer_subnet)
    assert back == {PLAN.vpc: peering.name, PLAN.secondary: peering.name, s3_of_peer.prefix_list: s3_of_peer.name}
    assert routes_of(state, "main", PLAN.public_b) == public
    assert routes_of(state, "main", PLAN.shared_a) == private_b


def test_the_site_is_behind_its_connection_and_services_behind_endpoints_of_the_private_subnet(made):
    server, vpc = made
    view = view_of(server)

    (connection,) = view.vpn_connections
    assert (connection.customer, set(connection.routes)) == (PLAN.customer, {PLAN.on_prem, PLAN.on_prem_pods})
    endpoints = [one for one in view.endpoints if one.kind == "Interface"]
    assert {one.service.partition("eu-central-1.")[2] for one in endpoints} == {"ecr.api", "ecr.dkr", "ec2"}
    inside = {one.id: one.subnet for one in view.interfaces}
    assert {inside[name] for one in endpoints for name in one.interfaces} == {vpc.subnets["private-a"]}
    assert all(one.names for one in endpoints)


def test_the_way_through_the_nat_gateway_is_switched(made):
    server, _ = made
    ec2 = server.client()

    for on in (True, False, False, True):
        switch_nat(ec2, on=on)
        found = routes_of(network_of(view_of(server), Outside()), "main", PLAN.private_a)
        assert ("0.0.0.0/0" in found) is on


def test_the_view_is_plain_json(server):
    with urllib.request.urlopen(f"{server.url}/_kip/view") as answer:
        text = answer.read()

    assert json.loads(CloudView.from_json(text).to_json()) == json.loads(text)
