"""What rows about connected networks stand on: what a provider is told, a peered VPC, a witness, a virtual node."""

from __future__ import annotations

import contextlib
import json

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.protocol import Place, PodRef
from kip_conformance.infra.workloads.peer_network import find_peer
from kip_conformance.infra.workloads.provider import Provider
from kip_conformance.infra.workloads.reading import Ran
from kip_conformance.infra.workloads.virtual_nodes import VirtualNode
from kip_conformance.infra.workloads.witness import Witness

POD = Place("cell-a", "pod", "cell-a", "10.20.1.4", ("10.20.1.4",), (8080,), "/s", PodRef("ns", "cell-a", "1"), "kip")
TARGETS = (ProbeTarget("web", "10.96.0.9", 80, "tcp", ("node-a",)),)


class Told:
    """A cluster whose providers are told `settings`, and what they were told during a block."""

    def __init__(self):
        self.settings = {"cells": {"extraCIDRs": ["10.244.0.0/16", "192.168.0.0/16"]}, "cloud": {"aws": {}}}
        self.seen = None

    def provider_settings(self):
        return self.settings

    @contextlib.contextmanager
    def providers_told(self, change):
        self.seen = json.loads(json.dumps(self.settings))
        change(self.seen)
        yield


def test_a_range_is_left_out_with_all_that_contains_it():
    provider = Provider(Told())
    assert provider.extra_cidrs() == ["10.244.0.0/16", "192.168.0.0/16"]
    assert provider.extra_cidrs(without="192.168.50.0/24") == ["10.244.0.0/16"]


def test_fields_of_cells_and_the_subnet_are_told():
    cluster = Told()
    with Provider(cluster).configured(subnet="subnet-1", extraCIDRs=["10.0.0.0/8"]):
        assert cluster.seen == {"cells": {"extraCIDRs": ["10.0.0.0/8"]}, "cloud": {"aws": {"subnetID": "subnet-1"}}}
    with Provider(cluster).configured(extraSecurityGroups=["sg-1"]):
        assert cluster.seen["cells"]["extraCIDRs"] == ["10.244.0.0/16", "192.168.0.0/16"]
        assert cluster.seen["cloud"] == {"aws": {}}


class Peered:
    """Two VPCs, the second with one subnet."""

    def __init__(self, status="active"):
        self.status = status

    def describe_vpc_peering_connections(self):
        own = {"VpcId": "vpc-1", "CidrBlock": "10.20.0.0/16", "CidrBlockSet": [{"CidrBlock": "100.64.0.0/20"}]}
        other = {"VpcId": "vpc-2", "CidrBlock": "172.28.0.0/18"}
        one = {"RequesterVpcInfo": own, "AccepterVpcInfo": other, "Status": {"Code": self.status}}
        return {"VpcPeeringConnections": [{**one, "VpcPeeringConnectionId": "pcx-1"}]}

    def describe_subnets(self, Filters):
        return {"Subnets": [{"SubnetId": "subnet-2"}] if Filters[0]["Values"] == ["vpc-2"] else []}


def test_the_peer_is_found_by_its_range():
    peer = find_peer(Peered(), "172.28.0.0/18")
    assert (peer.vpc, peer.subnet, peer.peering) == ("vpc-2", "subnet-2", "pcx-1")
    assert peer.others == ("10.20.0.0/16", "100.64.0.0/20")


def test_a_peering_that_is_not_active_leads_nowhere():
    with pytest.raises(HarnessError, match="no VPC with the range"):
        find_peer(Peered("deleted"), "172.28.0.0/18")


def heard(*lines: object) -> Witness:
    class Api:
        def run(self, place, argv):
            return Ran(0, "".join(f"{json.dumps(line)}\n" for line in lines))

    return Witness(Api(), POD, TARGETS, mark="1")


def test_a_witness_tells_what_was_not_an_answer_of_a_peer():
    testimony = heard([0.1, "web", "node-a"], [0.3, "web", "ConnectionRefusedError: no"], [0.4, "web", "x"], None).end()
    assert testimony.attempts == {"web": 3}
    assert testimony.strange == ("web at 0.3 s: ConnectionRefusedError: no", "web at 0.4 s: x")
    assert testimony.longest_pause == pytest.approx(0.2)


@pytest.mark.parametrize("lines", [([0.1, "web", "node-a"],), (None,), ()], ids=["cut-off", "never-asked", "nothing"])
def test_a_witness_that_saw_nothing_or_was_cut_off_is_no_evidence(lines):
    with pytest.raises(HarnessError):
        heard(*lines).end()


GOOD = VirtualNode(
    "kip",
    {"node.kubernetes.io/exclude-from-external-load-balancers": "true"},
    ("virtual-kubelet.io/provider:NoSchedule",),
    {"Ready": "True", "NetworkUnavailable": "False"},
    (),
)


def test_a_virtual_node_as_it_should_be_has_no_shortcomings():
    assert GOOD.shortcomings == ()


def test_every_shortcoming_of_a_virtual_node_is_said():
    bad = VirtualNode("kip", {}, ("virtual-kubelet.io/provider:PreferNoSchedule",), {}, ("10.244.9.0/24",))
    assert [what.partition(" ")[0] for what in bad.shortcomings] == ["not", "no", "no", "pod"]
