"""Route tables ("Amazon VPC User Guide, Route tables"; Amazon EC2 API Reference, CreateRoute and its kin)."""

from __future__ import annotations

import pytest


@pytest.fixture
def table(cloud):
    return cloud.table()


def test_a_table_begins_with_the_local_route(cloud, table, refused):
    """Route tables: every route table contains a local route; it cannot be deleted."""
    assert cloud.routes(table)["10.20.0.0/16"]["GatewayId"] == "local"
    with refused("InvalidParameterValue"):
        cloud.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="10.20.0.0/16")


def test_a_further_range_is_local_too(cloud, table):
    """VPC CIDR blocks: a local route is added for each."""
    cloud.ec2.associate_vpc_cidr_block(VpcId=cloud.vpc, CidrBlock="100.64.0.0/20")
    assert cloud.routes(table)["100.64.0.0/20"]["GatewayId"] == "local"


def test_a_route_whose_gateway_is_detached_is_a_blackhole(cloud, table):
    """Amazon EC2 API Reference, Route: State."""
    gateway = cloud.internet_gateway()
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    assert cloud.routes(table)["0.0.0.0/0"]["State"] == "active"
    cloud.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=cloud.vpc)
    assert cloud.routes(table)["0.0.0.0/0"]["State"] == "blackhole"


def test_a_route_whose_instance_is_gone_is_a_blackhole(cloud, table):
    """Amazon EC2 API Reference, Route: State; what the sweep of cloud routes looks for."""
    instance = cloud.run(cloud.subnet())
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.244.7.0/24", InstanceId=instance["InstanceId"])
    route = cloud.routes(table)["10.244.7.0/24"]
    assert route["InstanceId"] == instance["InstanceId"]
    assert route["NetworkInterfaceId"] == instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    cloud.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    assert cloud.routes(table)["10.244.7.0/24"]["State"] == "blackhole"
    found = cloud.ec2.describe_route_tables(
        Filters=[{"Name": "route.state", "Values": ["blackhole"]}, {"Name": "vpc-id", "Values": [cloud.vpc]}]
    )
    assert [one["RouteTableId"] for one in found["RouteTables"]] == [table]
    cloud.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="10.244.7.0/24")


def test_a_route_to_an_interface(cloud, table):
    interface = cloud.make_interface(cloud.subnet())["NetworkInterfaceId"]
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.99.0.0/16", NetworkInterfaceId=interface)
    route = cloud.routes(table)["10.99.0.0/16"]
    assert (route["NetworkInterfaceId"], route["State"]) == (interface, "blackhole")


def test_a_destination_is_put_into_its_canonical_form(cloud, table):
    """CreateRoute: "If you specify 100.68.0.18/18, we modify it to 100.68.0.0/18"."""
    gateway = cloud.internet_gateway()
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="100.68.0.18/18", GatewayId=gateway)
    assert "100.68.0.0/18" in cloud.routes(table)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"GatewayId": "igw-0123456789abcdef0"}, "InvalidInternetGatewayID.NotFound"),
        ({"GatewayId": "vgw-0123456789abcdef0"}, "InvalidVpnGatewayID.NotFound"),
        ({"NatGatewayId": "nat-0123456789abcdef0"}, "NatGatewayNotFound"),
        ({"InstanceId": "i-0123456789abcdef0"}, "InvalidInstanceID.NotFound"),
        ({"NetworkInterfaceId": "eni-0123456789abcdef0"}, "InvalidNetworkInterfaceID.NotFound"),
        ({"VpcPeeringConnectionId": "pcx-0123456789abcdef0"}, "InvalidVpcPeeringConnectionID.NotFound"),
        ({}, "MissingParameter"),
        ({"DestinationCidrBlock": "10.0.0.0/99", "InstanceId": "i-0123456789abcdef0"}, "InvalidParameterValue"),
    ],
    ids=lambda value: "-".join(value) or "nothing" if isinstance(value, dict) else value,
)
def test_what_cannot_be_a_route_is_refused(cloud, table, refused, options, code):
    with refused(code):
        cloud.ec2.create_route(**{"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", **options})


def test_a_target_of_another_network_is_refused(cloud, table, refused):
    foreign = cloud.internet_gateway(cloud.make_vpc())
    with refused("InvalidParameterValue"):
        cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=foreign)


def test_a_route_inside_the_network_leads_to_interfaces_only(cloud, table, refused):
    """Route tables, Middlebox routing: a route more specific than the local one is a subnet's, to an interface."""
    gateway, instance = cloud.internet_gateway(), cloud.run(cloud.subnet())["InstanceId"]
    with refused("InvalidParameterValue"):
        cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.20.9.0/24", InstanceId=instance)
    cloud.subnet("10.20.9.0/24")
    with refused("InvalidParameterValue"):
        cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.20.9.0/24", GatewayId=gateway)
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.20.9.0/24", InstanceId=instance)
    with refused("UnsupportedOperation"):
        cloud.ec2.replace_route(RouteTableId=table, DestinationCidrBlock="10.20.0.0/16", InstanceId=instance)


def test_one_destination_one_route(cloud, table, refused):
    """Amazon EC2 API Reference, Error codes: RouteAlreadyExists, InvalidRoute.NotFound; ReplaceRoute."""
    gateway, instance = cloud.internet_gateway(), cloud.run(cloud.subnet())["InstanceId"]
    default = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
    with refused("InvalidParameterValue"):
        cloud.ec2.replace_route(**default, GatewayId=gateway)
    cloud.ec2.create_route(**default, GatewayId=gateway)
    with refused("RouteAlreadyExists"):
        cloud.ec2.create_route(**default, InstanceId=instance)
    cloud.ec2.replace_route(**default, InstanceId=instance)
    assert cloud.routes(table)["0.0.0.0/0"]["InstanceId"] == instance
    cloud.ec2.delete_route(**default)
    with refused("InvalidRoute.NotFound"):
        cloud.ec2.delete_route(**default)


def test_associations(cloud, table, refused):
    """AssociateRouteTable: one table a subnet; ReplaceRouteTableAssociation; DeleteRouteTable."""
    subnet, other = cloud.subnet(), cloud.table()
    association = cloud.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    with refused("Resource.AlreadyAssociated"):
        cloud.ec2.associate_route_table(RouteTableId=other, SubnetId=subnet)
    with refused("DependencyViolation"):
        cloud.ec2.delete_route_table(RouteTableId=table)
    new = cloud.ec2.replace_route_table_association(AssociationId=association, RouteTableId=other)["NewAssociationId"]
    found = cloud.ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
    assert [one["RouteTableId"] for one in found["RouteTables"]] == [other]
    cloud.ec2.disassociate_route_table(AssociationId=new)
    cloud.ec2.delete_route_table(RouteTableId=table)
    with refused("InvalidAssociationID.NotFound"):
        cloud.ec2.disassociate_route_table(AssociationId=new)


def test_the_main_table_stays(cloud, refused):
    """Route tables, Main route table."""
    found = cloud.ec2.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [cloud.vpc]}, {"Name": "association.main", "Values": ["true"]}]
    )["RouteTables"]
    assert len(found) == 1
    with refused("DependencyViolation"):
        cloud.ec2.delete_route_table(RouteTableId=found[0]["RouteTableId"])
    with refused("InvalidParameterValue"):
        cloud.ec2.disassociate_route_table(AssociationId=found[0]["Associations"][0]["RouteTableAssociationId"])


def test_a_table_of_another_network_is_not_associated(cloud, table, refused):
    with refused("InvalidParameterValue"):
        cloud.ec2.associate_route_table(RouteTableId=table, SubnetId=cloud.subnet(vpc=cloud.make_vpc()))
