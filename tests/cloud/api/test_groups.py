"""Security groups ("Amazon VPC User Guide, Security groups"; Amazon EC2 API Reference)."""

from __future__ import annotations

import pytest

TCP_22 = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}


def permissions(cloud, group, member="IpPermissions"):
    return cloud.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0][member]


def test_rules_by_range_group_and_prefix_list(cloud):
    """AuthorizeSecurityGroupIngress: sources of a rule."""
    group, other = cloud.group(), cloud.group("other")
    lists = cloud.ec2.describe_prefix_lists()["PrefixLists"]
    listed = lists[0]["PrefixListId"]
    rules = [
        {**TCP_22, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}]},
        {**TCP_22, "UserIdGroupPairs": [{"GroupId": other}]},
        {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": listed}]},
        {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    ]
    answer = cloud.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)
    assert len(answer["SecurityGroupRules"]) == 4
    found = {one["IpProtocol"]: one for one in permissions(cloud, group)}
    assert found["tcp"]["IpRanges"] == [{"CidrIp": "10.0.0.0/8", "Description": "inside"}]
    assert found["tcp"]["UserIdGroupPairs"][0]["GroupId"] == other
    assert found["-1"]["PrefixListIds"] == [{"PrefixListId": listed}]
    assert (found["icmp"]["FromPort"], found["icmp"]["ToPort"]) == (8, -1)
    cloud.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rules[:2])
    assert {one["IpProtocol"] for one in permissions(cloud, group)} == {"-1", "icmp"}


def test_everything_may_leave_until_it_may_not(cloud):
    """Security groups: a new group has a rule that lets everything out; it can be removed."""
    group = cloud.group()
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    assert permissions(cloud, group, "IpPermissionsEgress")[0]["IpRanges"] == everything["IpRanges"]
    cloud.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
    assert permissions(cloud, group, "IpPermissionsEgress") == []
    rule = {**TCP_22, "IpRanges": [{"CidrIp": "10.1.0.0/16"}]}
    cloud.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    assert permissions(cloud, group, "IpPermissionsEgress")[0]["IpRanges"] == rule["IpRanges"]


def test_the_same_rule_twice_is_refused(cloud, refused):
    """Amazon EC2 API Reference, Error codes: InvalidPermission.Duplicate, and nothing of the call is kept."""
    group = cloud.group()
    rule = {**TCP_22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    new = {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    cloud.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    with refused("InvalidPermission.Duplicate"):
        cloud.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[new, rule])
    assert [one["IpProtocol"] for one in permissions(cloud, group)] == ["tcp"]
    with refused("InvalidPermission.NotFound"):
        cloud.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[new])


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({**TCP_22, "ToPort": 21, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({**TCP_22, "IpRanges": [{"CidrIp": "10.0.0/8"}]}, "InvalidParameterValue"),
        ({**TCP_22, "UserIdGroupPairs": [{"GroupId": "sg-0123456789abcdef0"}]}, "InvalidGroup.NotFound"),
        ({**TCP_22, "PrefixListIds": [{"PrefixListId": "pl-0123456789abcdef0"}]}, "InvalidPrefixListID.NotFound"),
        ({"FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "MissingParameter"),
    ],
    ids=["no-ports", "ports-reversed", "no-range", "no-group", "no-prefix-list", "no-protocol"],
)
def test_malformed_rules_are_refused(cloud, refused, rule, code):
    with refused(code):
        cloud.ec2.authorize_security_group_ingress(GroupId=cloud.group(), IpPermissions=[rule])


def test_a_group_in_use_cannot_be_deleted(cloud, refused):
    """DeleteSecurityGroup: associated with an interface, or named by another group's rule."""
    used, named, naming = cloud.group("used"), cloud.group("named"), cloud.group("naming")
    instance = cloud.run(cloud.subnet(), SecurityGroupIds=[used])["InstanceId"]
    rule = {**TCP_22, "UserIdGroupPairs": [{"GroupId": named}]}
    cloud.ec2.authorize_security_group_ingress(GroupId=naming, IpPermissions=[rule])
    for group in (used, named):
        with refused("DependencyViolation"):
            cloud.ec2.delete_security_group(GroupId=group)
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    cloud.ec2.delete_security_group(GroupId=naming)
    for group in (used, named):
        cloud.ec2.delete_security_group(GroupId=group)
    with refused("InvalidGroup.NotFound"):
        cloud.ec2.describe_security_groups(GroupIds=[used])


def test_a_group_of_another_network_is_named_only_by_a_peer(cloud, refused):
    """Amazon VPC Peering Guide, Update your security groups to reference peer security groups."""
    other = cloud.make_vpc("172.28.0.0/18")
    group, foreign = cloud.group(), cloud.group(vpc=other)
    rules = [{**TCP_22, "UserIdGroupPairs": [{"GroupId": foreign}]}]
    with refused("InvalidGroup.NotFound"):
        cloud.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)
    made = cloud.ec2.create_vpc_peering_connection(VpcId=cloud.vpc, PeerVpcId=other)["VpcPeeringConnection"]
    cloud.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=made["VpcPeeringConnectionId"])
    cloud.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)
    assert permissions(cloud, group)[0]["UserIdGroupPairs"][0]["GroupId"] == foreign


def test_the_default_group_stays(cloud, refused):
    """Amazon EC2 API Reference, Error codes: CannotDelete."""
    found = cloud.ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [cloud.vpc]}, {"Name": "group-name", "Values": ["default"]}]
    )
    with refused("CannotDelete"):
        cloud.ec2.delete_security_group(GroupId=found["SecurityGroups"][0]["GroupId"])


def test_names_are_unique_in_a_vpc(cloud, refused):
    """Amazon EC2 API Reference, Error codes: InvalidGroup.Duplicate."""
    cloud.group()
    with refused("InvalidGroup.Duplicate"):
        cloud.group()
    cloud.group(vpc=cloud.make_vpc())


def test_an_interface_without_groups_has_the_default_one(cloud):
    """CreateNetworkInterface, RunInstances: the default security group."""
    subnet = cloud.subnet()
    for groups in (cloud.make_interface(subnet)["Groups"], cloud.run(subnet)["SecurityGroups"]):
        assert [one["GroupName"] for one in groups] == ["default"]
