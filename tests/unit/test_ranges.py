"""Overlaps of address ranges, and the interfaces whose forwarding matters."""

from __future__ import annotations

import pytest
from kip_conformance.infra.machines.forwarding import interfaces_towards
from kip_conformance.infra.workloads.ranges import AddressRange, overlapping, ranges_of
from kip_conformance.infra.workloads.reading import NodeView

SERVICES = AddressRange("services", "Services", "10.96.0.0/16")
PODS_A = AddressRange("pods", "pods of node-a", "10.244.1.0/24")
PODS_B = AddressRange("pods", "pods of node-b", "10.244.2.0/25")
VPC = AddressRange("network", "network vpc", "10.20.0.0/16")


class Reader:
    def __init__(self, services):
        self._services = services

    def service_ranges(self):
        return self._services

    def kubelet_nodes(self):
        return (NodeView("node-a", "10.20.1.11", pod_cidrs=("10.244.1.0/24",)),)


def test_disjoint_ranges_overlap_nowhere():
    assert overlapping([SERVICES, PODS_A, PODS_B, VPC]) == ()


@pytest.mark.parametrize(
    "other",
    [
        AddressRange("services", "Services", "10.96.128.0/20"),
        AddressRange("pods", "pods of node-c", "10.96.3.0/24"),
        AddressRange("network", "network on-prem", "10.0.0.0/8"),
    ],
    ids=lambda each: each.kind,
)
def test_an_overlap_with_the_service_range_is_told(other):
    assert overlapping([SERVICES, other]) == (f"{SERVICES} and {other}",)


def test_networks_may_lie_in_each_other():
    assert overlapping([VPC, AddressRange("network", "network private-a", "10.20.16.0/22")]) == ()


def test_pods_may_have_addresses_of_the_vpc_where_that_is_declared_but_never_each_others():
    in_vpc = AddressRange("pods", "pods of node-a", "10.20.8.0/24")
    shared = frozenset({"pods", "network"})

    assert overlapping([VPC, in_vpc]) == (f"{VPC} and {in_vpc}",)
    assert overlapping([VPC, in_vpc], may_share=shared) == ()
    assert overlapping([VPC, in_vpc, in_vpc], may_share=shared) == (f"{in_vpc} and {in_vpc}",)


def test_ranges_come_from_the_api_and_other_networks_from_the_plan():
    plan = {"vpc": "10.20.0.0/16", "pods": "10.244.0.0/16", "services": "10.97.0.0/16", "dns": "10.97.0.10"}

    assert ranges_of(Reader(("10.96.0.0/16",)), plan) == (SERVICES, PODS_A, VPC)
    assert ranges_of(Reader(()), plan)[0].cidr == "10.97.0.0/16"


def test_the_longest_route_decides_which_interface_leads_to_a_pod():
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "10.244.1.0/24", "dev": "cni0"},
        {"dst": "10.244.1.7", "dev": "veth7"},
        {"dst": "10.244.1.9", "type": "blackhole"},
    ]

    assert interfaces_towards(routes, ["10.244.1.7", "10.244.1.8", "192.0.2.1"]) == ("eth0", "veth7", "cni0")
