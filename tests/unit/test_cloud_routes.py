"""Where the cloud's routes to nodes' pods lead, by what an API says that is a few dictionaries."""

from __future__ import annotations

import pytest
from kip_conformance.infra.workloads.cloud_routes import CloudRoutes
from kip_conformance.infra.workloads.reading import NodeView

NODES = (NodeView("node-a", "10.20.1.11", pod_cidrs=("10.244.1.0/24",)), NodeView("far", "192.168.50.12"))


def route(cidr: str, **target: str) -> dict[str, str]:
    return {"DestinationCidrBlock": cidr, "State": "active", **target}


class Cloud:
    """One node on i-a in subnet-a, whose own table is `routes`; subnet-b is under the VPC's main table."""

    def __init__(self, routes, *, main=(), is_checked=False):
        self._tables = [
            {"Associations": [{"SubnetId": "subnet-a"}], "Routes": list(routes)},
            {"Associations": [{"Main": True}], "Routes": list(main)},
        ]
        self._interface = {
            "NetworkInterfaceId": "eni-a",
            "SubnetId": "subnet-a",
            "SourceDestCheck": is_checked,
            "Attachment": {"InstanceId": "i-a"},
            "PrivateIpAddresses": [{"PrivateIpAddress": "10.20.1.11"}],
        }

    def describe_network_interfaces(self, Filters):
        return {"NetworkInterfaces": [self._interface]}

    def describe_subnets(self, SubnetIds):
        return {"Subnets": [{"VpcId": "vpc", "CidrBlock": "10.20.1.0/24"}]}

    def describe_route_tables(self, Filters=()):
        return {"RouteTables": self._tables}


def wrong(cloud: Cloud, *subnets: str) -> tuple[str, ...]:
    routes = CloudRoutes(cloud)
    return routes.wrong(routes.nodes(NODES), subnets)


def test_a_node_on_premises_has_no_route_in_the_cloud():
    assert [node.name for node in CloudRoutes(Cloud([])).nodes(NODES)] == ["node-a"]


def test_a_route_to_the_instance_or_to_its_interface_is_right():
    to_both = [
        route("10.244.1.0/24", InstanceId="i-a", NetworkInterfaceId="eni-a"),
        route("0.0.0.0/0", GatewayId="igw"),
    ]
    assert wrong(Cloud(to_both)) == ()
    assert wrong(Cloud([route("10.244.0.0/16", NetworkInterfaceId="eni-a")])) == ()


@pytest.mark.parametrize(
    ("routes", "what"),
    [
        ([], "no route to 10.244.1.0/24, the pods of node-a"),
        ([route("0.0.0.0/0", GatewayId="igw-1")], "0.0.0.0/0 leads to igw-1, not to node-a"),
        ([route("10.244.1.0/24", InstanceId="i-b")], "10.244.1.0/24 leads to i-b, not to node-a"),
        (
            [route("10.244.1.0/24", InstanceId="i-a") | {"State": "blackhole"}],
            "10.244.1.0/24 leads to i-a (blackhole), not to node-a",
        ),
        (
            [route("10.244.1.0/24", InstanceId="i-a"), route("10.244.1.252/30", InstanceId="i-b")],
            "10.244.1.252/30 leads to i-b, not to node-a",
        ),
    ],
    ids=["none", "by-default", "another", "blackhole", "a-part"],
)
def test_what_leads_elsewhere_is_said(routes, what):
    assert wrong(Cloud(routes)) == (f"subnet-a (10.20.1.0/24): {what}",)


def test_a_subnet_without_a_table_of_its_own_is_under_the_main_one():
    cloud = Cloud([route("10.244.1.0/24", InstanceId="i-a")])
    assert wrong(cloud, "subnet-b") == ("subnet-b (10.20.1.0/24): no route to 10.244.1.0/24, the pods of node-a",)


def test_an_interface_that_checks_forwards_nothing():
    cloud = Cloud([route("10.244.1.0/24", InstanceId="i-a")], is_checked=True)
    assert wrong(cloud) == ("node-a: its interface checks source and destination",)


def test_routes_to_an_instance_are_found_by_its_interface_too():
    cloud = Cloud([route("10.9.0.0/16", NetworkInterfaceId="eni-a")], main=[route("10.8.0.0/16", InstanceId="i-a")])
    assert CloudRoutes(cloud).to_instance("i-a") == ("10.9.0.0/16", "10.8.0.0/16")
