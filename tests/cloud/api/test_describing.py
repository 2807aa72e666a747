"""Filters, pages and tags ("Amazon EC2 User Guide, Filter resources"; the actions' pages of the API's reference)."""

from __future__ import annotations

import pytest


def found(cloud, **filters):
    """Ids of the VPC's instances that pass the filters."""
    given = [{"Name": name.replace("__", ".").replace("_", "-"), "Values": values} for name, values in filters.items()]
    answer = cloud.ec2.describe_instances(Filters=[*given, {"Name": "vpc-id", "Values": [cloud.vpc]}])
    return [instance["InstanceId"] for one in answer["Reservations"] for instance in one["Instances"]]


@pytest.fixture
def cells(cloud):
    """Two instances, one tagged, of two subnets and groups."""
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "KipControllerID", "Value": "abc"}]}]
    one = cloud.run(cloud.subnet(), SecurityGroupIds=[cloud.group("one")], TagSpecifications=tags)
    two = cloud.run(cloud.subnet("10.20.2.0/24", zone="b"), PrivateIpAddress="10.20.2.9")
    return one["InstanceId"], two["InstanceId"]


def test_instances_by_filters(cloud, cells):
    """DescribeInstances: the filters that providers and eksctl-like tools use."""
    one, two = cells
    assert found(cloud, **{"tag:KipControllerID": ["abc", "def"]}) == [one]
    assert found(cloud, tag_key=["Kip*"]) == [one]
    assert found(cloud, instance_state_name=["running", "pending"]) == [one, two]
    assert found(cloud, private_ip_address=["10.20.2.?"]) == [two]
    assert found(cloud, group_name=["one"]) == [one]
    assert found(cloud, availability_zone=["eu-central-1b"]) == [two]
    assert found(cloud, network_interface__addresses__private_ip_address=["10.20.2.9"]) == [two]
    assert found(cloud, network_interface__attachment__device_index=["0"]) == [one, two]
    assert found(cloud, instance_type=["t3.*"], private_ip_address=["10.20.1.4"]) == [one]
    assert found(cloud, instance_type=["m5.large"]) == []


def test_an_interface_by_any_of_its_addresses(cloud):
    """DescribeNetworkInterfaces: addresses.private-ip-address."""
    made = cloud.make_interface(cloud.subnet(), SecondaryPrivateIpAddressCount=2)["NetworkInterfaceId"]
    answer = cloud.ec2.describe_network_interfaces(
        Filters=[
            {"Name": "addresses.private-ip-address", "Values": ["10.20.1.6"]},
            {"Name": "vpc-id", "Values": [cloud.vpc]},
        ]
    )
    assert [one["NetworkInterfaceId"] for one in answer["NetworkInterfaces"]] == [made]


def test_a_filter_that_is_none_is_refused(cloud, refused):
    """Amazon EC2 API Reference, Error codes: InvalidParameterValue."""
    for describe in (cloud.ec2.describe_instances, cloud.ec2.describe_subnets, cloud.ec2.describe_network_interfaces):
        with refused("InvalidParameterValue"):
            describe(Filters=[{"Name": "no-such-filter", "Values": ["x"]}])


def test_pages(cloud, refused):
    """DescribeInstances: MaxResults from 5 to 1000, NextToken; pages hold instances of one reservation, too."""
    subnet = cloud.subnet()
    cloud.run_many(7, subnet)
    pages = cloud.ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "subnet-id", "Values": [subnet]}], PaginationConfig={"PageSize": 5}
    )
    sizes = [sum(len(one["Instances"]) for one in page["Reservations"]) for page in pages]
    assert sizes == [5, 2]
    with refused("InvalidParameterValue"):
        cloud.ec2.describe_instances(MaxResults=4)
    with refused("InvalidPaginationToken"):
        cloud.ec2.describe_instances(MaxResults=5, NextToken="nonsense")
    with refused("InvalidParameterCombination"):
        cloud.ec2.describe_instances(MaxResults=5, InstanceIds=["i-0123456789abcdef0"])


def test_tags(cloud, refused):
    """CreateTags, DescribeTags, DeleteTags."""
    subnet = cloud.subnet()
    cloud.ec2.create_tags(
        Resources=[subnet, cloud.vpc], Tags=[{"Key": "Name", "Value": "a"}, {"Key": "kip", "Value": ""}]
    )
    answer = cloud.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [subnet]}])["Tags"]
    assert [(one["Key"], one["Value"], one["ResourceType"]) for one in answer] == [
        ("Name", "a", "subnet"),
        ("kip", "", "subnet"),
    ]
    cloud.ec2.delete_tags(Resources=[subnet], Tags=[{"Key": "Name", "Value": "other"}, {"Key": "kip"}])
    shown = cloud.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["Tags"]
    assert shown == [{"Key": "Name", "Value": "a"}]
    with refused("InvalidSubnetID.NotFound"):
        cloud.ec2.create_tags(Resources=["subnet-0123456789abcdef0"], Tags=[{"Key": "a", "Value": "b"}])
    with refused("InvalidID"):
        cloud.ec2.create_tags(Resources=["nothing"], Tags=[{"Key": "a", "Value": "b"}])
    with refused("InvalidParameterValue"):
        cloud.ec2.create_tags(Resources=[subnet], Tags=[{"Key": "aws:mine", "Value": "b"}])
    with refused("TagLimitExceeded"):
        cloud.ec2.create_tags(Resources=[subnet], Tags=[{"Key": f"k{number}", "Value": ""} for number in range(51)])


def test_the_same_subnets_by_every_filter(cloud):
    """DescribeSubnets."""
    subnet = cloud.subnet("10.20.7.0/28", zone="c")
    for name, value in (
        ("cidr-block", "10.20.7.0/28"), ("availability-zone", "eu-central-1c"), ("available-ip-address-count", "11"),
        ("default-for-az", "false"), ("subnet-id", subnet), ("state", "available"),
    ):  # fmt: skip
        filters = [{"Name": name, "Values": [value]}, {"Name": "vpc-id", "Values": [cloud.vpc]}]
        assert [one["SubnetId"] for one in cloud.ec2.describe_subnets(Filters=filters)["Subnets"]] == [subnet], name


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (("describe_instances", {"InstanceIds": ["i-0123456789abcdef0"]}), "InvalidInstanceID.NotFound"),
        (("describe_instances", {"InstanceIds": ["cell"]}), "InvalidInstanceID.Malformed"),
        (("terminate_instances", {"InstanceIds": ["i-xyz"]}), "InvalidInstanceID.Malformed"),
        (("terminate_instances", {}), "MissingParameter"),
        (("describe_vpcs", {"VpcIds": ["vpc-0123456789abcdef0"]}), "InvalidVpcID.NotFound"),
        (("describe_subnets", {"SubnetIds": ["subnet-0123456789abcdef0"]}), "InvalidSubnetID.NotFound"),
        (("describe_network_interfaces", {"NetworkInterfaceIds": ["eni-1"]}), "InvalidNetworkInterfaceId.Malformed"),
        (("describe_route_tables", {"RouteTableIds": ["rtb-0123456789abcdef0"]}), "InvalidRouteTableID.NotFound"),
        (("describe_security_groups", {"GroupIds": ["sg-ghi"]}), "InvalidGroupId.Malformed"),
        (("describe_nat_gateways", {"NatGatewayIds": ["nat-0123456789abcdef0"]}), "NatGatewayNotFound"),
        (("describe_vpc_endpoints", {"VpcEndpointIds": ["vpce-0123456789abcdef0"]}), "InvalidVpcEndpointId.NotFound"),
        (("create_subnet", {"CidrBlock": "10.0.0.0/24"}), "MissingParameter"),
        (("get_console_output", {"InstanceId": "i-0123456789abcdef0"}), "InvalidInstanceID.NotFound"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}",
)
def test_ids_that_are_none(cloud, refused, call, code):
    """Amazon EC2 API Reference, Error codes."""
    with refused(code):
        getattr(cloud.ec2, call[0])(**call[1])
