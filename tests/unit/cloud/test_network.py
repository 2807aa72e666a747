"""What the cloud's API says becomes the state of the network."""

from __future__ import annotations

from dataclasses import replace

from kip_conformance.infra.cloud import view as api
from kip_conformance.infra.cloud.network import network_of
from kip_conformance.infra.cloud.outside import OUTSIDE, Outside
from kip_conformance.infra.fabric import state as net

from .some_view import view

AROUND = Outside(
    hosts=(net.Host("customer", "outside", "198.51.100.99"), net.Host("ecr", "services", "192.0.2.70")),
    services={"s3": "192.0.2.10", "ecr.api": "192.0.2.70"},
    customers={"198.51.100.99": "customer"},
)


def table(state: net.NetworkState, name: str) -> net.RouteTable:
    return next(one for vpc in state.vpcs for one in vpc.route_tables if one.name == name)


def test_the_whole_of_it_contradicts_itself_nowhere():
    network_of(view(), AROUND).validate()
    network_of(view(), Outside()).validate()


def test_machines_are_instances_that_have_not_stopped():
    interfaces = {one.name: one for one in network_of(view(), AROUND).interfaces}

    assert {name: one.machine for name, one in interfaces.items()} == {"node-a": "node-a", "eni-b": "i-b"}
    assert interfaces["node-a"].addresses == ("10.20.1.11", "10.20.1.12")
    assert interfaces["node-a"].device == "eth0"


def test_routes_lead_to_what_is_there_and_nowhere_else():
    state = network_of(view(), AROUND)

    assert {one.destination: one.target for one in table(state, "rtb-private").routes} == {
        "0.0.0.0/0": "nat-1",
        "pl-s3": "vpce-s3",
        "10.244.0.0/24": "blackhole",
        "10.244.1.0/24": "node-a",
        "10.244.2.0/24": "blackhole",
    }
    detached = network_of(view(internet_gateways=()), AROUND)
    assert {one.destination: one.target for one in table(detached, "rtb-public").routes}["0.0.0.0/0"] == "blackhole"


def test_propagated_routes_come_from_the_gateway_and_are_no_routes_of_the_table():
    public = table(network_of(view(), AROUND), "rtb-public")

    assert public.propagating == ("vgw-1",)
    assert "192.168.50.0/24" not in {one.destination for one in public.routes}


def test_public_addresses_belong_to_interfaces_and_nat_gateways():
    assert network_of(view(), AROUND).associations == (
        net.Association("203.0.113.7", "node-a", "10.20.1.11"),
        net.Association("203.0.113.8", "nat-1", "10.20.1.5"),
    )


def test_a_public_address_of_a_stopped_instance_answers_nobody():
    stopped = view(instances=tuple(replace(one, state="stopped") for one in view().instances))

    assert [one.interface for one in network_of(stopped, AROUND).associations] == ["nat-1"]


def test_endpoints_lead_to_the_region_s_services():
    state = network_of(view(), AROUND)

    assert state.gateway_endpoints == (net.GatewayEndpoint("vpce-s3", "vpc-main", "pl-s3"),)
    assert state.interface_endpoints == (
        net.InterfaceEndpoint("eni-ecr", "subnet-private", "10.20.16.20", ("sg-1",), "192.0.2.70"),
    )


def test_a_service_that_nobody_serves_here_and_a_customer_that_nobody_is_are_left_out():
    state = network_of(view(), Outside(lans=(OUTSIDE,)))

    assert state.interface_endpoints == ()
    assert state.vpn_connections == ()


def test_rules_of_groups_name_what_the_api_names():
    (group,) = network_of(view(), AROUND).groups

    assert group.ingress == (net.GroupRule("all", "sg-1"), net.GroupRule("tcp", "0.0.0.0/0", (22, 22)))
    assert group.egress == (net.GroupRule("tcp", "pl-s3", (443, 443)),)


def test_a_rule_that_names_a_group_which_is_gone_and_a_route_of_ipv6_are_left_out():
    (group,) = view().groups
    stale = replace(group, ingress=(*group.ingress, api.Rule("all", None, group="sg-gone")))
    (table_, *others) = view().route_tables
    six = replace(table_, routes=(*table_.routes, api.Route("::/0", "igw-1", "active")))
    state = network_of(view(groups=(stale,), route_tables=(six, *others)), AROUND)

    state.validate()
    assert len(state.groups[0].ingress) == len(group.ingress)
    assert all(":" not in route.destination for route in table(state, "rtb-public").routes)
