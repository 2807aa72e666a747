"""Peering, VPN and endpoints (Amazon VPC Peering Guide; AWS Site-to-Site VPN User Guide; AWS PrivateLink Guide)."""

from __future__ import annotations

import base64
import socket
import time
from xml.etree import ElementTree

import pytest

S3 = "com.amazonaws.eu-central-1.s3"


def peer(cloud, one, two):
    return cloud.ec2.create_vpc_peering_connection(VpcId=one, PeerVpcId=two)["VpcPeeringConnection"]


def test_peering(cloud, refused):
    """CreateVpcPeeringConnection, AcceptVpcPeeringConnection; routes are blackholes unless it is active."""
    other = cloud.make_vpc("172.28.0.0/18")
    made = peer(cloud, cloud.vpc, other)
    peering, table = made["VpcPeeringConnectionId"], cloud.table()
    assert made["Status"]["Code"] == "pending-acceptance"
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="172.28.0.0/18", VpcPeeringConnectionId=peering)
    assert cloud.routes(table)["172.28.0.0/18"]["State"] == "blackhole"
    cloud.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    assert cloud.routes(table)["172.28.0.0/18"]["State"] == "active"
    found = cloud.ec2.describe_vpc_peering_connections(
        Filters=[{"Name": "accepter-vpc-info.vpc-id", "Values": [other]}, {"Name": "status-code", "Values": ["active"]}]
    )["VpcPeeringConnections"]
    assert [one["VpcPeeringConnectionId"] for one in found] == [peering]
    assert found[0]["AccepterVpcInfo"]["CidrBlockSet"] == [{"CidrBlock": "172.28.0.0/18"}]
    cloud.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=peering)
    assert cloud.routes(table)["172.28.0.0/18"]["State"] == "blackhole"
    with refused("InvalidStateTransition"):
        cloud.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)


def test_ranges_that_overlap_are_not_peered(cloud, refused):
    """CreateVpcPeeringConnection: overlapping CIDR blocks result in the status `failed`."""
    made = peer(cloud, cloud.vpc, cloud.make_vpc("10.20.128.0/20"))
    assert made["Status"]["Code"] == "failed"
    with refused("InvalidStateTransition"):
        cloud.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=made["VpcPeeringConnectionId"])


def test_a_rejected_peering(cloud, refused):
    peering = peer(cloud, cloud.vpc, cloud.make_vpc("172.28.0.0/18"))["VpcPeeringConnectionId"]
    cloud.ec2.reject_vpc_peering_connection(VpcPeeringConnectionId=peering)
    found = cloud.ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[peering])["VpcPeeringConnections"][0]
    assert found["Status"]["Code"] == "rejected"
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        cloud.ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=["pcx-0123456789abcdef0"])


def test_peerings_end_with_their_vpc(cloud, refused):
    """Amazon VPC Peering Guide, Delete a VPC peering connection: it is deleted with either VPC."""
    other = cloud.make_vpc("172.28.0.0/18")
    third = cloud.make_vpc("172.29.0.0/18")
    active, pending = (peer(cloud, cloud.vpc, one)["VpcPeeringConnectionId"] for one in (other, third))
    cloud.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=active)
    cloud.ec2.delete_vpc(VpcId=cloud.vpc)
    found = cloud.ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[active, pending])
    assert [one["Status"]["Code"] for one in found["VpcPeeringConnections"]] == ["deleted", "deleted"]
    with refused("InvalidStateTransition"):
        cloud.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=pending)


def test_a_peer_gets_no_range_that_overlaps(cloud, refused):
    """AssociateVpcCidrBlock: not one that overlaps with a peered VPC's."""
    other = cloud.make_vpc("172.28.0.0/18")
    peering = peer(cloud, cloud.vpc, other)["VpcPeeringConnectionId"]
    cloud.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    with refused("CidrConflict"):
        cloud.ec2.associate_vpc_cidr_block(VpcId=cloud.vpc, CidrBlock="172.28.0.0/20")


@pytest.fixture
def gateway(cloud):
    """A virtual private gateway, attached."""
    made = cloud.ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    cloud.ec2.attach_vpn_gateway(VpnGatewayId=made, VpcId=cloud.vpc)
    return made


@pytest.fixture
def connection(cloud, gateway):
    customer = cloud.ec2.create_customer_gateway(Type="ipsec.1", IpAddress="198.51.100.7", BgpAsn=65000)
    return cloud.ec2.create_vpn_connection(
        Type="ipsec.1",
        CustomerGatewayId=customer["CustomerGateway"]["CustomerGatewayId"],
        VpnGatewayId=gateway,
        Options={"StaticRoutesOnly": True},
    )["VpnConnection"]


def test_a_vpn_connection_has_two_tunnels(cloud, connection):
    """AWS Site-to-Site VPN User Guide, Tunnel options; CustomerGatewayConfiguration."""
    found = cloud.ec2.describe_vpn_connections(VpnConnectionIds=[connection["VpnConnectionId"]])["VpnConnections"][0]
    tunnels = found["Options"]["TunnelOptions"]
    assert found["State"] == "available"
    assert len({one["OutsideIpAddress"] for one in tunnels}) == 2
    assert all(one["TunnelInsideCidr"].startswith("169.254.") and one["PreSharedKey"] for one in tunnels)
    document = ElementTree.fromstring(found["CustomerGatewayConfiguration"])
    keys = [one.text for one in document.iter("pre_shared_key")]
    assert keys == [one["PreSharedKey"] for one in tunnels]


def test_routes_of_a_connection_are_propagated(cloud, gateway, connection, refused):
    """CreateVpnConnectionRoute, EnableVgwRoutePropagation; a static route comes first."""
    table, vpn = cloud.table(), connection["VpnConnectionId"]
    for destination in ("192.168.50.0/24", "10.250.0.0/24"):
        cloud.ec2.create_vpn_connection_route(VpnConnectionId=vpn, DestinationCidrBlock=destination)
    assert "192.168.50.0/24" not in cloud.routes(table)
    cloud.ec2.enable_vgw_route_propagation(RouteTableId=table, GatewayId=gateway)
    route = cloud.routes(table)["192.168.50.0/24"]
    assert (route["GatewayId"], route["Origin"]) == (gateway, "EnableVgwRoutePropagation")
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.250.0.0/24", GatewayId=gateway)
    assert cloud.routes(table)["10.250.0.0/24"]["Origin"] == "CreateRoute"
    cloud.ec2.delete_vpn_connection_route(VpnConnectionId=vpn, DestinationCidrBlock="192.168.50.0/24")
    assert "192.168.50.0/24" not in cloud.routes(table)
    cloud.ec2.disable_vgw_route_propagation(RouteTableId=table, GatewayId=gateway)
    assert set(cloud.routes(table)) == {"10.20.0.0/16", "10.250.0.0/24"}
    with refused("InvalidRoute.NotFound"):
        cloud.ec2.delete_vpn_connection_route(VpnConnectionId=vpn, DestinationCidrBlock="192.168.50.0/24")


def test_a_gateway_propagates_only_where_it_is_attached(cloud, gateway, refused):
    table = cloud.table(cloud.make_vpc())
    with refused("Gateway.NotAttached"):
        cloud.ec2.enable_vgw_route_propagation(RouteTableId=table, GatewayId=gateway)


def test_the_end_of_a_vpn(cloud, gateway, connection, refused):
    """DetachVpnGateway, DeleteVpnGateway, DeleteVpnConnection."""
    with refused("IncorrectState"):
        cloud.ec2.delete_vpn_gateway(VpnGatewayId=gateway)
    with refused("DependencyViolation"):
        cloud.ec2.delete_vpc(VpcId=cloud.vpc)
    cloud.ec2.delete_vpn_connection(VpnConnectionId=connection["VpnConnectionId"])
    cloud.ec2.detach_vpn_gateway(VpnGatewayId=gateway, VpcId=cloud.vpc)
    cloud.ec2.delete_vpn_gateway(VpnGatewayId=gateway)
    with refused("InvalidVpnGatewayID.NotFound"):
        cloud.ec2.attach_vpn_gateway(VpnGatewayId=gateway, VpcId=cloud.vpc)
    cloud.ec2.delete_vpc(VpcId=cloud.vpc)


def test_a_gateway_endpoint_is_a_route_to_a_prefix_list(cloud, refused):
    """AWS PrivateLink Guide, Gateway endpoints: routes in the route tables that are associated."""
    one, two = cloud.table(), cloud.table()
    listed = cloud.ec2.describe_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [S3]}])["PrefixLists"][0]
    assert listed["Cidrs"] == ["192.0.2.0/26"]
    made = cloud.ec2.create_vpc_endpoint(VpcId=cloud.vpc, ServiceName=S3, RouteTableIds=[one])["VpcEndpoint"]
    endpoint = made["VpcEndpointId"]
    route = cloud.routes(one)[listed["PrefixListId"]]
    assert (route["GatewayId"], route["State"]) == (endpoint, "active")
    with refused("RouteAlreadyExists"):
        cloud.ec2.create_vpc_endpoint(VpcId=cloud.vpc, ServiceName=S3, RouteTableIds=[one])
    with refused("InvalidParameterValue"):
        cloud.ec2.delete_route(RouteTableId=one, DestinationPrefixListId=listed["PrefixListId"])
    cloud.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddRouteTableIds=[two], RemoveRouteTableIds=[one])
    assert listed["PrefixListId"] in cloud.routes(two)
    assert listed["PrefixListId"] not in cloud.routes(one)
    assert cloud.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])["Unsuccessful"] == []
    assert set(cloud.routes(two)) == {"10.20.0.0/16"}


def test_an_interface_endpoint_has_interfaces_and_names(cloud, refused):
    """AWS PrivateLink Guide, Interface endpoints: one subnet a zone, private DNS."""
    service = "com.amazonaws.eu-central-1.ecr.api"
    one, two, same = cloud.subnet(), cloud.subnet("10.20.2.0/24", zone="b"), cloud.subnet("10.20.3.0/24")
    group = cloud.group()
    options = {"VpcId": cloud.vpc, "ServiceName": service, "VpcEndpointType": "Interface", "SecurityGroupIds": [group]}
    with refused("InvalidParameter"):
        cloud.ec2.create_vpc_endpoint(**options, SubnetIds=[one])
    cloud.ec2.modify_vpc_attribute(VpcId=cloud.vpc, EnableDnsHostnames={"Value": True})
    with refused("DuplicateSubnetsInSameZone"):
        cloud.ec2.create_vpc_endpoint(**options, SubnetIds=[one, same])
    made = cloud.ec2.create_vpc_endpoint(**options, SubnetIds=[one, two])["VpcEndpoint"]
    assert "api.ecr.eu-central-1.amazonaws.com" in [entry["DnsName"] for entry in made["DnsEntries"]]
    interfaces = [cloud.interface(interface) for interface in made["NetworkInterfaceIds"]]
    assert [(eni["SubnetId"], eni["InterfaceType"]) for eni in interfaces] == [
        (one, "vpc_endpoint"),
        (two, "vpc_endpoint"),
    ]
    assert [eni["Groups"][0]["GroupId"] for eni in interfaces] == [group, group]
    assert (cloud.free(one), cloud.free(same)) == (250, 251)
    with refused("InvalidParameter"):
        cloud.ec2.create_vpc_endpoint(**options, SubnetIds=[one])
    cloud.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])
    assert cloud.free(one) == 251


def test_endpoints_that_cannot_be(cloud, refused):
    with refused("InvalidServiceName"):
        cloud.ec2.create_vpc_endpoint(VpcId=cloud.vpc, ServiceName="com.amazonaws.eu-central-1.nothing")
    missing = cloud.ec2.delete_vpc_endpoints(VpcEndpointIds=["vpce-0123456789abcdef0"])["Unsuccessful"]
    assert missing[0]["Error"]["Code"] == "InvalidVpcEndpointId.NotFound"
    names = cloud.ec2.describe_vpc_endpoint_services()["ServiceNames"]
    assert {S3, "com.amazonaws.eu-central-1.ecr.dkr"} <= set(names)


def test_s3_keeps_objects(server):
    s3 = server.client("s3")
    s3.create_bucket(Bucket="layers", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="layers", Key="blob", Body=b"x" * 200_000)
    assert len(s3.get_object(Bucket="layers", Key="blob")["Body"].read()) == 200_000


def test_who_sends_an_object_slowly_stops_nobody_else(server):
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as slow:
        slow.sendall(b"PUT /any/object HTTP/1.1\r\nHost: s3\r\nContent-Length: 1000\r\n\r\nand no more")
        begun = time.monotonic()
        server.client().describe_vpcs()
        server.client("s3").list_buckets()
        assert time.monotonic() - begun < 5
        slow.settimeout(0.01)
        with pytest.raises(TimeoutError):
            slow.recv(1)


def test_a_registry_token_opens_the_repositories_that_there_are(server, asked):
    """Amazon ECR API Reference, GetAuthorizationToken: valid for 12 hours, user AWS."""
    ecr = server.client("ecr")
    ecr.create_repository(repositoryName="team/app")
    assert [one["repositoryName"] for one in ecr.describe_repositories()["repositories"]] == ["team/app"]
    data = ecr.get_authorization_token()["authorizationData"][0]
    assert data["proxyEndpoint"] == "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    assert user == "AWS"

    def ask(repository, token):
        given = base64.b64encode(f"AWS:{token}".encode()).decode()
        return asked(server, f"registry?repository={repository}", headers={"Authorization": f"Basic {given}"})[0]

    assert ask("team/app", password) == 200
    assert ask("team/other", password) == 401
    assert ask("team/app", password[:-1] + "x") == 401
    deny = '{"Statement": [{"Effect": "Deny", "Principal": {"AWS": "AKIAAAAAAAAAAAAAAAAA"}, "Action": "ecr:*"}]}'
    ecr.set_repository_policy(repositoryName="team/app", policyText=deny)
    assert ask("team/app", password) == 401
