"""Services through endpoints: private DNS on and off, who may use one, and S3 by a route."""

from __future__ import annotations

import pytest

DESCRIBE = (
    "try: show(len(boto3.client('ec2', config=quick).describe_vpcs()['Vpcs']))\n"
    "except Exception as error: show(type(error).__name__)"
)
LIST = (
    "try: show(len(boto3.client('s3', config=quick).list_buckets()['Buckets']) >= 0)\n"
    "except Exception as error: show(type(error).__name__)"
)
NAME = "ec2.eu-central-1.amazonaws.com"


@pytest.fixture
def ec2_endpoint(region):
    made = region.ec2.create_vpc_endpoint(
        VpcId=region.vpc, VpcEndpointType="Interface", ServiceName="com.amazonaws.eu-central-1.ec2",
        SubnetIds=[region.subnets["private"]], SecurityGroupIds=[region.groups["private"]], PrivateDnsEnabled=True,
    )["VpcEndpoint"]  # fmt: skip
    yield made
    region.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])


def address_of(region, endpoint) -> str:
    found = region.ec2.describe_network_interfaces(NetworkInterfaceIds=endpoint["NetworkInterfaceIds"])
    return found["NetworkInterfaces"][0]["PrivateIpAddress"]


def resolved(region, machine: str, name: str = NAME) -> str:
    found: str = region.resolved(machine, name)
    return found


def test_private_dns_turns_a_service_to_its_endpoint_and_back(region, private, ec2_endpoint):
    address = address_of(region, ec2_endpoint)
    region.until(lambda: resolved(region, private) == address, "the name does not lead to the endpoint")
    region.until(lambda: isinstance(region.python(private, DESCRIBE), int), "EC2 is not reached")

    region.ec2.modify_vpc_endpoint(VpcEndpointId=ec2_endpoint["VpcEndpointId"], PrivateDnsEnabled=False)
    region.until(lambda: resolved(region, private) == "192.0.2.70", "the name still leads to the endpoint")
    assert region.python(private, DESCRIBE) == "ConnectTimeoutError"


def test_an_endpoint_lets_in_what_its_group_lets_in(region, private, ec2_endpoint):
    address = address_of(region, ec2_endpoint)
    region.until(lambda: resolved(region, private) == address, "the name does not lead to the endpoint")
    region.until(lambda: isinstance(region.python(private, DESCRIBE), int), "EC2 is not reached")
    rule = {
        "GroupId": region.groups["private"], "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.0/8"
    }  # fmt: skip
    region.ec2.revoke_security_group_ingress(**rule)
    try:
        region.until(lambda: region.python(private, DESCRIBE) == "ConnectTimeoutError", "the group lets all in")
    finally:
        region.ec2.authorize_security_group_ingress(**rule)


def test_another_vpc_has_no_use_of_an_endpoint(region, ec2_endpoint):
    address = address_of(region, ec2_endpoint)
    other = region.add_vpc("10.41.0.0/16")
    region.add_subnet("stranger", other, "10.41.1.0/24")
    machine = region.machine("stranger")

    assert resolved(region, machine) == "192.0.2.70"
    assert region.python(machine, DESCRIBE) == "ConnectTimeoutError"
    done = region.run(machine, "curl", "-s", "-m", "2", "--resolve", f"{NAME}:443:{address}", f"https://{NAME}/")
    assert done.returncode == 28


def test_s3_is_reached_by_the_route_of_a_gateway_endpoint_and_nothing_else_is(region, private):
    assert region.python(private, LIST) == "ConnectTimeoutError"
    made = region.ec2.create_vpc_endpoint(
        VpcId=region.vpc, ServiceName="com.amazonaws.eu-central-1.s3", RouteTableIds=[region.tables["private"]]
    )["VpcEndpoint"]["VpcEndpointId"]
    try:
        region.until(lambda: region.python(private, LIST) is True, "S3 is not reached")
        assert region.python(private, DESCRIBE) == "ConnectTimeoutError"
        plain = region.run(private, "curl", "-s", "-m", "5", "http://s3.eu-central-1.amazonaws.com/")
        assert plain.returncode == 0
    finally:
        region.ec2.delete_vpc_endpoints(VpcEndpointIds=[made])
    region.until(lambda: region.python(private, LIST) == "ConnectTimeoutError", "S3 is still reached")


def test_an_interface_endpoint_of_s3_takes_over_the_names_of_buckets(region, private):
    made = region.ec2.create_vpc_endpoint(
        VpcId=region.vpc, VpcEndpointType="Interface", ServiceName="com.amazonaws.eu-central-1.s3",
        SubnetIds=[region.subnets["private"]], SecurityGroupIds=[region.groups["private"]], PrivateDnsEnabled=True,
    )["VpcEndpoint"]  # fmt: skip
    try:
        address, bucket = address_of(region, made), "any.s3.eu-central-1.amazonaws.com"
        region.until(lambda: resolved(region, private, bucket) == address, "the bucket's name does not lead there")
        region.until(lambda: region.python(private, LIST) is True, "S3 is not reached")
    finally:
        region.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])
