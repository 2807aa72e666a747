"""What security groups let in, and drift that is given back: on values and on a group that is a list."""

from __future__ import annotations

import pytest
from kip_conformance.infra.errors import NotRunnable
from kip_conformance.infra.workloads.cell_groups import CellGroups
from kip_conformance.infra.workloads.group_rules import Admission, GroupRule, rules_of

VPC, POD = "10.20.0.0/16", "10.20.1.30"
EVERYTHING = [
    {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": VPC}]},
    {"IpProtocol": "udp", "FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": VPC}]},
    {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": VPC}]},
]


def admission(address: str, *permissions: dict, groups: str = "sg-1") -> Admission:
    return Admission(address, frozenset({groups}), tuple(sorted(rules_of(permissions))))


def test_all_of_it_is_let_in_by_one_rule_or_by_several():
    client = admission(POD)
    whole = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": VPC}]}
    halves = [{**EVERYTHING[0], "ToPort": 9999}, {**EVERYTHING[0], "FromPort": 8000}]

    assert admission("10.20.16.12", whole).closed_to(client) == ()
    assert admission("10.20.16.12", *EVERYTHING).closed_to(client) == ()
    assert admission("10.20.16.12", *halves, *EVERYTHING[1:]).closed_to(client) == ()


def test_what_is_missing_is_named():
    gap = [{**EVERYTHING[0], "ToPort": 10999}, {**EVERYTHING[0], "FromPort": 20000}]

    assert admission("10.20.16.12", *gap, *EVERYTHING[1:]).closed_to(admission(POD)) == ("tcp 11000-19999",)
    assert admission("10.20.16.12", EVERYTHING[0]).closed_to(admission(POD)) == ("udp 0-65535", "icmp")
    echo = {**EVERYTHING[2], "FromPort": 8}
    assert admission("10.20.16.12", *EVERYTHING[:2], echo).closed_to(admission(POD)) == ("icmp",)
    assert admission("10.20.16.12", *EVERYTHING).closed_to(admission("100.64.4.9")) == (
        "tcp 0-65535",
        "udp 0-65535",
        "icmp",
    )


def test_a_rule_for_a_group_means_those_that_have_it():
    rule = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-cells"}]}

    assert admission("10.20.16.12", rule).closed_to(admission("100.64.4.9", groups="sg-cells")) == ()
    assert admission("10.20.16.12", rule).closed_to(admission("100.64.4.9", groups="sg-other")) != ()


class OneGroup:
    """EC2, as far as it has one group: its rules are a set."""

    def __init__(self, *permissions: dict) -> None:
        self.rules = set(rules_of(permissions))

    def describe_security_groups(self, **_):
        return {"SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": [rule.permission() for rule in self.rules]}]}

    def authorize_security_group_ingress(self, *, GroupId, IpPermissions):
        self.rules |= rules_of(IpPermissions)

    def revoke_security_group_ingress(self, *, GroupId, IpPermissions):
        self.rules -= rules_of(IpPermissions)


def test_drift_takes_one_rule_and_adds_one_and_is_given_back():
    unused = {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": "100.64.0.0/20"}]}
    ec2 = OneGroup(*EVERYTHING, unused)
    before = set(ec2.rules)

    with CellGroups(ec2, prefix="x") as groups, groups.drifted("sg-1", [POD]) as drift:
        assert GroupRule("tcp", 0, 65535, "100.64.0.0/20") not in ec2.rules
        assert drift().startswith("lacks tcp 0-65535 from 100.64.0.0/20; has tcp 4444-4444 from ")
        ec2.rules = set(before)
        assert drift() == ""
        ec2.rules.pop()
    assert ec2.rules == before


def test_no_rule_that_is_in_use_is_taken_away():
    ec2 = OneGroup(*EVERYTHING)

    with pytest.raises(NotRunnable, match="in use"), CellGroups(ec2, prefix="x").drifted("sg-1", [POD]):
        pass
    assert ec2.rules == set(rules_of(EVERYTHING))


class Visited:
    """EC2 with the groups of one network that cells come to and go from."""

    def __init__(self) -> None:
        self.names = {"sg-1": "default", "sg-2": "kip-lab-CellSecurityGroup"}
        self.rules: list[dict] = []

    def describe_network_interfaces(self, **_):
        return {"NetworkInterfaces": [{"VpcId": "vpc-2"}]}

    def describe_security_groups(self, *, Filters):
        assert Filters == [{"Name": "vpc-id", "Values": ["vpc-2"]}]
        return {"SecurityGroups": [{"GroupId": key, "GroupName": name} for key, name in self.names.items()]}

    def create_security_group(self, *, VpcId, GroupName, Description):
        self.names["sg-3"] = GroupName
        return {"GroupId": "sg-3"}

    def authorize_security_group_ingress(self, *, GroupId, IpPermissions):
        self.rules += IpPermissions

    def delete_security_group(self, *, GroupId):
        del self.names[GroupId]


def test_what_was_made_goes_and_what_a_provider_made_where_it_was_for_a_while():
    ec2 = Visited()
    with CellGroups(ec2, prefix="x") as groups:
        groups.visit("vpc-2")
        assert groups.admitting(["192.0.2.0/24"], beside=POD) == "sg-3"
        assert ec2.rules == [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}]
        assert set(ec2.names) == {"sg-1", "sg-2", "sg-3"}
    assert set(ec2.names) == {"sg-1"}


class TwoRanges:
    """EC2, as far as it knows the network of one interface."""

    def describe_network_interfaces(self, **_):
        return {"NetworkInterfaces": [{"VpcId": "vpc-1"}]}

    def describe_vpcs(self, **_):
        ranges = [{"CidrBlock": VPC}, {"CidrBlock": "100.64.0.0/20"}]
        return {"Vpcs": [{"CidrBlockAssociationSet": ranges}]}


def test_a_range_that_is_not_let_in_is_named_by_its_ends():
    around = CellGroups(TwoRanges(), prefix="row").around(POD)

    assert [one.address for one in around] == ["10.20.0.1", "10.20.255.254", "100.64.0.1", "100.64.15.254"]
    closed = [one.address for one in around if admission(POD, *EVERYTHING).closed_to(one)]
    assert closed == ["100.64.0.1", "100.64.15.254"]
