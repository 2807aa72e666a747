"""VPCs, subnets, DHCP options, internet and NAT gateways (Amazon VPC User Guide)."""

from __future__ import annotations

import pytest


def only(cloud, what):
    return {"Filters": [{"Name": "vpc-id", "Values": [what]}]}


def test_a_new_vpc_has_what_comes_with_it(cloud):
    """Amazon VPC User Guide, Default security groups, Main route table, DHCP option sets."""
    groups = cloud.ec2.describe_security_groups(**only(cloud, cloud.vpc))["SecurityGroups"]
    assert [one["GroupName"] for one in groups] == ["default"]
    inside = groups[0]["IpPermissions"][0]
    assert (inside["IpProtocol"], inside["UserIdGroupPairs"][0]["GroupId"]) == ("-1", groups[0]["GroupId"])
    assert groups[0]["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    assert len(cloud.ec2.describe_route_tables(**only(cloud, cloud.vpc))["RouteTables"]) == 1
    options = cloud.ec2.describe_vpcs(VpcIds=[cloud.vpc])["Vpcs"][0]["DhcpOptionsId"]
    found = cloud.ec2.describe_dhcp_options(DhcpOptionsIds=[options])["DhcpOptions"][0]["DhcpConfigurations"]
    values = {one["Key"]: [value["Value"] for value in one["Values"]] for one in found}
    assert values == {"domain-name-servers": ["AmazonProvidedDNS"], "domain-name": ["eu-central-1.compute.internal"]}


@pytest.mark.parametrize(
    ("cidr", "code"),
    [("10.0.0.0/15", "InvalidVpc.Range"), ("10.0.0.0/29", "InvalidVpc.Range"), ("10.0.0/16", "InvalidParameterValue")],
)
def test_ranges_that_no_vpc_has(cloud, refused, cidr, code):
    """Amazon VPC User Guide, VPC CIDR blocks: /16 to /28."""
    with refused(code):
        cloud.make_vpc(cidr)


@pytest.mark.parametrize(
    ("cidr", "code"),
    [
        ("10.21.0.0/24", "InvalidSubnet.Range"),
        ("10.20.1.128/25", "InvalidSubnet.Conflict"),
        ("10.20.0.0/15", "InvalidSubnet.Range"),
        ("10.20.9.0/29", "InvalidSubnet.Range"),
    ],
)
def test_ranges_that_no_subnet_has(cloud, refused, cidr, code):
    """Amazon EC2 API Reference, Error codes: InvalidSubnet.Range, InvalidSubnet.Conflict."""
    cloud.subnet("10.20.1.0/24")
    with refused(code):
        cloud.subnet(cidr)


def test_a_zone_of_another_region_is_refused(cloud, refused):
    with refused("InvalidParameterValue"):
        cloud.ec2.create_subnet(VpcId=cloud.vpc, CidrBlock="10.20.1.0/24", AvailabilityZone="us-east-1a")


def test_a_subnet_without_zone_gets_one_of_the_region(cloud):
    made = cloud.ec2.create_subnet(VpcId=cloud.vpc, CidrBlock="10.20.1.0/24")["Subnet"]
    assert made["AvailabilityZone"].startswith("eu-central-1")
    assert made["MapPublicIpOnLaunch"] is False


def test_further_ranges(cloud, refused):
    """AssociateVpcCidrBlock, DisassociateVpcCidrBlock."""
    made = cloud.ec2.associate_vpc_cidr_block(VpcId=cloud.vpc, CidrBlock="100.64.0.0/20")["CidrBlockAssociation"]
    subnet = cloud.subnet("100.64.1.0/24")
    with refused("CidrConflict"):
        cloud.ec2.associate_vpc_cidr_block(VpcId=cloud.vpc, CidrBlock="100.64.0.0/24")
    with refused("InvalidCidrBlock.InUse"):
        cloud.ec2.disassociate_vpc_cidr_block(AssociationId=made["AssociationId"])
    cloud.ec2.delete_subnet(SubnetId=subnet)
    cloud.ec2.disassociate_vpc_cidr_block(AssociationId=made["AssociationId"])
    found = cloud.ec2.describe_vpcs(VpcIds=[cloud.vpc])["Vpcs"][0]["CidrBlockAssociationSet"]
    assert [one["CidrBlock"] for one in found] == ["10.20.0.0/16"]
    with refused("OperationNotPermitted"):
        cloud.ec2.disassociate_vpc_cidr_block(AssociationId=found[0]["AssociationId"])


def test_a_subnet_in_use_cannot_be_deleted(cloud, refused):
    """Amazon EC2 API Reference, Error codes: DependencyViolation."""
    subnet = cloud.subnet()
    instance = cloud.run(subnet)["InstanceId"]
    with refused("DependencyViolation"):
        cloud.ec2.delete_subnet(SubnetId=subnet)
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    cloud.ec2.delete_subnet(SubnetId=subnet)
    with refused("InvalidSubnetID.NotFound"):
        cloud.ec2.describe_subnets(SubnetIds=[subnet])


@pytest.mark.parametrize("use", ["subnet", "gateway", "group", "table"])
def test_a_vpc_in_use_cannot_be_deleted(cloud, refused, use):
    """DeleteVpc: everything in it must be deleted or detached first."""
    made = {
        "subnet": cloud.subnet, "gateway": cloud.internet_gateway, "group": cloud.group, "table": cloud.table,
    }[use]()  # fmt: skip
    with refused("DependencyViolation"):
        cloud.ec2.delete_vpc(VpcId=cloud.vpc)
    if use == "gateway":
        cloud.ec2.detach_internet_gateway(InternetGatewayId=made, VpcId=cloud.vpc)
    undo = {
        "subnet": lambda: cloud.ec2.delete_subnet(SubnetId=made),
        "gateway": lambda: cloud.ec2.delete_internet_gateway(InternetGatewayId=made),
        "group": lambda: cloud.ec2.delete_security_group(GroupId=made),
        "table": lambda: cloud.ec2.delete_route_table(RouteTableId=made),
    }
    undo[use]()
    cloud.ec2.delete_vpc(VpcId=cloud.vpc)
    with refused("InvalidVpcID.NotFound"):
        cloud.ec2.describe_vpcs(VpcIds=[cloud.vpc])


def test_dhcp_options_of_several_vpcs(cloud, refused):
    """Amazon VPC User Guide, DHCP option sets: one set for several VPCs, `default` for none."""
    wanted = [
        {"Key": "domain-name", "Values": ["lab.example"]},
        {"Key": "domain-name-servers", "Values": ["10.20.0.9"]},
    ]
    options = cloud.ec2.create_dhcp_options(DhcpConfigurations=wanted)["DhcpOptions"]["DhcpOptionsId"]
    other = cloud.make_vpc()
    for vpc in (cloud.vpc, other):
        cloud.ec2.associate_dhcp_options(VpcId=vpc, DhcpOptionsId=options)
    found = cloud.ec2.describe_vpcs(Filters=[{"Name": "dhcp-options-id", "Values": [options]}])["Vpcs"]
    assert {one["VpcId"] for one in found} == {cloud.vpc, other}
    cloud.ec2.associate_dhcp_options(VpcId=other, DhcpOptionsId="default")
    with refused("DependencyViolation"):
        cloud.ec2.delete_dhcp_options(DhcpOptionsId=options)
    cloud.ec2.associate_dhcp_options(VpcId=cloud.vpc, DhcpOptionsId="default")
    cloud.ec2.delete_dhcp_options(DhcpOptionsId=options)
    with refused("InvalidDhcpOptionID.NotFound"):
        cloud.ec2.associate_dhcp_options(VpcId=cloud.vpc, DhcpOptionsId=options)


def test_one_internet_gateway_a_vpc(cloud, refused):
    """Amazon VPC User Guide, Internet gateways."""
    gateway = cloud.internet_gateway()
    with refused("InvalidParameterValue"):
        cloud.internet_gateway()
    with refused("Resource.AlreadyAssociated"):
        cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.make_vpc())
    with refused("DependencyViolation"):
        cloud.ec2.delete_internet_gateway(InternetGatewayId=gateway)


def test_a_gateway_of_mapped_addresses_cannot_be_detached(cloud, refused):
    """DetachInternetGateway: no instances with Elastic or public addresses."""
    gateway, subnet = cloud.internet_gateway(), cloud.subnet()
    cloud.run(NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}])
    with refused("DependencyViolation"):
        cloud.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.vpc)


def test_a_nat_gateway_has_an_interface_in_its_subnet(cloud, refused):
    """Amazon VPC User Guide, NAT gateways."""
    cloud.internet_gateway()
    subnet, eip = cloud.subnet(), cloud.ec2.allocate_address(Domain="vpc")
    made = cloud.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=eip["AllocationId"])["NatGateway"]
    assert made["State"] == "pending"
    nat = made["NatGatewayId"]
    found = cloud.ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]
    assert (found["State"], found["VpcId"]) == ("available", cloud.vpc)
    address = found["NatGatewayAddresses"][0]
    assert (address["PublicIp"], address["PrivateIp"]) == (eip["PublicIp"], "10.20.1.4")
    interface = cloud.interface(address["NetworkInterfaceId"])
    assert (interface["InterfaceType"], interface["Status"]) == ("nat_gateway", "in-use")
    assert (interface["SourceDestCheck"], interface["RequesterManaged"]) == (False, True)
    assert cloud.free(subnet) == 250
    with refused("DependencyViolation"):
        cloud.ec2.delete_subnet(SubnetId=subnet)
    with refused("AuthFailure"):
        cloud.ec2.associate_address(
            AllocationId=eip["AllocationId"], InstanceId=cloud.run(cloud.subnet("10.20.2.0/24"))["InstanceId"]
        )
    table = cloud.table()
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    assert cloud.routes(table)["0.0.0.0/0"]["State"] == "active"
    cloud.ec2.delete_nat_gateway(NatGatewayId=nat)
    assert cloud.routes(table)["0.0.0.0/0"]["State"] == "blackhole"
    assert cloud.free(subnet) == 251
    cloud.ec2.release_address(AllocationId=eip["AllocationId"])


def test_nat_gateways_that_cannot_be(cloud, refused):
    """Amazon EC2 API Reference, NatGateway: FailureCode, said at once here."""
    subnet, eip = cloud.subnet(), cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
    with refused("Gateway.NotAttached"):
        cloud.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=eip)
    with refused("MissingParameter"):
        cloud.ec2.create_nat_gateway(SubnetId=subnet)
    with refused("NatGatewayNotFound"):
        cloud.ec2.delete_nat_gateway(NatGatewayId="nat-0123456789abcdef0")
    cloud.internet_gateway()
    cloud.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=eip)
    with refused("Resource.AlreadyAssociated"):
        cloud.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=eip)
    private = cloud.ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]
    assert "PublicIp" not in private["NatGatewayAddresses"][0]
