"""Which machines a row makes to see sources, and what of them it takes away again. The cloud is a double."""

from __future__ import annotations

import json

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Place, PodRef
from kip_conformance.infra.workloads.bystanders import Bystander, Bystanders
from kip_conformance.infra.workloads.cells import CellView, SubnetView
from kip_conformance.infra.workloads.reading import Ran

POD = Place("cell-a", "pod", "cell-a", "10.0.0.9", ("10.0.0.9",), (8080,), "/s", PodRef("ns", "cell-a", "u"))
CELL = CellView("i-cell", SubnetView("subnet-1", "10.0.1.0/24", "a", True, "vpc-1"), ("10.0.0.8",), ("eni-1",), ())
RANGES = {"vpc-1": ["10.0.0.0/16", "100.64.0.0/20"], "vpc-2": ["172.16.0.0/16"], "vpc-3": ["10.3.0.0/16"]}
SUBNETS = {
    "vpc-1": [("small", "10.0.2.0/28", 3), ("large", "10.0.1.0/24", 200), ("shared", "100.64.1.0/24", 250)],
    "vpc-2": [("peer", "172.16.1.0/24", 251)],
}


class Cloud:
    def __init__(self):
        self.made, self.groups, self.gone = [], [], []

    def describe_instances(self, InstanceIds):
        state = {"Name": "terminated" if self.gone else "running"}
        found = [{"ImageId": "ami-1", "InstanceType": "t3.small", "State": state} for _ in InstanceIds]
        return {"Reservations": [{"Instances": found}]}

    def describe_vpcs(self, VpcIds):
        associations = [{"CidrBlock": cidr} for cidr in RANGES[VpcIds[0]]]
        return {"Vpcs": [{"CidrBlockAssociationSet": associations}]}

    def describe_subnets(self, Filters):
        found = SUBNETS[Filters[0]["Values"][0]]
        return {
            "Subnets": [
                {"SubnetId": name, "CidrBlock": cidr, "AvailableIpAddressCount": free} for name, cidr, free in found
            ]
        }

    def describe_vpc_peering_connections(self):
        def peering(one, other, state):
            return {
                "RequesterVpcInfo": {"VpcId": one}, "AccepterVpcInfo": {"VpcId": other}, "Status": {"Code": state}
            }  # fmt: skip

        return {"VpcPeeringConnections": [peering("vpc-2", "vpc-1", "active"), peering("vpc-1", "vpc-3", "rejected")]}

    def create_security_group(self, **_):
        self.groups.append(f"sg-{len(self.groups)}")
        return {"GroupId": self.groups[-1]}

    def authorize_security_group_ingress(self, GroupId, IpPermissions):
        assert [one["CidrIp"] for one in IpPermissions[0]["IpRanges"]] == RANGES["vpc-1"]

    def run_instances(self, **request):
        assert request["ImageId"] == "ami-1"
        self.made.append(request["NetworkInterfaces"][0]["SubnetId"])
        return {"Instances": [{"InstanceId": f"i-{len(self.made)}", "PrivateIpAddress": f"10.0.0.{len(self.made)}"}]}

    def terminate_instances(self, InstanceIds):
        self.gone += InstanceIds

    def delete_security_group(self, GroupId):
        assert self.gone
        self.groups.remove(GroupId)


class Reader:
    def __init__(self, ran):
        self.ran = ran

    def run(self, place, argv, *, timeout):
        return self.ran


def test_one_machine_in_each_range_of_the_vpc_and_of_its_peers_and_none_stays():
    cloud = Cloud()
    with Bystanders(cloud, Reader(None), name="row", budget=1.0) as made:
        found = made.one_a_range(CELL)
        assert [one.cidr for one in found] == ["10.0.0.0/16", "100.64.0.0/20", "172.16.0.0/16"]
        assert cloud.made == ["large", "shared", "peer"]
        assert len(cloud.groups) == 2
    assert cloud.gone == ["i-1", "i-2", "i-3"]
    assert cloud.groups == []


def test_what_each_of_them_sees_is_told_by_name():
    near = [Bystander("10.0.0.1", "10.0.0.0/16", "vpc-1")]
    reader = Reader(Ran(0, json.dumps({"10.0.0.1": "10.0.0.9"})))
    assert Bystanders(Cloud(), reader, name="row", budget=1.0).seen(POD, near, "tcp") == {
        "10.0.0.1 in 10.0.0.0/16": "10.0.0.9"
    }


def test_a_pod_that_cannot_ask_is_an_error_of_the_harness():
    with pytest.raises(HarnessError, match="cell-a: nobody could be asked: gone"):
        Bystanders(Cloud(), Reader(Ran(None, "", "gone")), name="row", budget=1.0).seen(POD, [], "udp")
