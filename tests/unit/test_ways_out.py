"""What of a subnet's ways out is taken away for a while, and given back whatever happens. The cloud is a double."""

from __future__ import annotations

import pytest
from kip_conformance.infra.workloads.cells import SubnetView
from kip_conformance.infra.workloads.ways_out import WaysOut

SUBNET = SubnetView("subnet-1", "10.0.0.0/24", "a", False, "vpc-1")
LOCAL = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"}
PEER = {"DestinationCidrBlock": "10.9.0.0/16", "VpcPeeringConnectionId": "pcx-1"}
S3 = {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1"}
NAT = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1"}
NARROW = {"DestinationCidrBlock": "198.51.100.0/24", "GatewayId": "igw-1"}
RULE = {"IpProtocol": "tcp"}


class Cloud:
    def __init__(self, *routes):
        self.routes = list(routes)
        self.tables = ["rtb-own", "rtb-other"]
        self.rules = [RULE]

    def describe_route_tables(self, Filters):
        main = {"RouteTableId": "rtb-main", "Associations": [{"Main": True}], "Routes": []}
        own = {"RouteTableId": "rtb-own", "Associations": [{"SubnetId": SUBNET.id}], "Routes": list(self.routes)}
        return {"RouteTables": [main, own]}

    def delete_route(self, RouteTableId, DestinationCidrBlock):
        assert RouteTableId == "rtb-own"
        self.routes = [one for one in self.routes if one.get("DestinationCidrBlock") != DestinationCidrBlock]

    def create_route(self, RouteTableId, **route):
        assert RouteTableId == "rtb-own"
        self.routes.append(route)

    def describe_nat_gateways(self, NatGatewayIds):
        assert NatGatewayIds == ["nat-1"]
        return {"NatGateways": [{"NatGatewayAddresses": [{"PublicIp": "203.0.113.2"}]}]}

    def describe_vpc_endpoints(self, Filters):
        kind = Filters[1]["Values"][0]
        gateway = {
            "VpcEndpointId": "vpce-1", "ServiceName": "com.amazonaws.eu-central-1.s3", "RouteTableIds": self.tables
        }  # fmt: skip
        inside = [
            {"ServiceName": f"com.amazonaws.eu-central-1.{name}", "Groups": [{"GroupId": group}]}
            for name, group in (("ecr.api", "sg-1"), ("ecr.dkr", "sg-1"), ("ec2", "sg-2"))
        ]
        return {"VpcEndpoints": [gateway] if kind == "Gateway" else inside}

    def modify_vpc_endpoint(self, VpcEndpointId, RemoveRouteTableIds=(), AddRouteTableIds=()):
        kept = [one for one in self.tables if one not in RemoveRouteTableIds]
        self.tables = [*kept, *AddRouteTableIds]

    def describe_security_groups(self, GroupIds):
        assert GroupIds == ["sg-1"]
        return {"SecurityGroups": [{"IpPermissions": self.rules}]}

    def revoke_security_group_ingress(self, GroupId, IpPermissions):
        self.rules = []

    def authorize_security_group_ingress(self, GroupId, IpPermissions):
        assert not self.rules
        self.rules = IpPermissions


def test_routes_to_gateways_are_gone_for_a_while_and_no_others():
    cloud = Cloud(LOCAL, PEER, S3, NAT, NARROW)
    with WaysOut(cloud).without_gateways(SUBNET):
        assert cloud.routes == [LOCAL, PEER, S3]
    assert cloud.routes == [LOCAL, PEER, S3, NAT, NARROW]


def test_what_was_taken_comes_back_after_an_error():
    cloud = Cloud(LOCAL, NAT)
    ways = WaysOut(cloud)

    def in_vain():
        with ways.without_endpoint(SUBNET, "s3"), ways.closed_endpoints(SUBNET, "ecr"), ways.without_gateways(SUBNET):
            assert (cloud.routes, cloud.tables, cloud.rules) == ([LOCAL], ["rtb-other"], [])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_vain()
    assert (cloud.routes, cloud.tables, cloud.rules) == ([LOCAL, NAT], ["rtb-other", "rtb-own"], [RULE])


def test_an_endpoint_that_is_not_in_the_table_is_left_alone():
    cloud = Cloud(LOCAL)
    cloud.tables = ["rtb-other"]
    with WaysOut(cloud).without_endpoint(SUBNET, "s3"):
        pass
    assert cloud.tables == ["rtb-other"]


def test_the_address_of_a_nat_gateway_is_that_of_the_default_route():
    assert WaysOut(Cloud(LOCAL, NAT)).nat_addresses(SUBNET) == ("203.0.113.2",)
    assert WaysOut(Cloud(LOCAL, NARROW)).nat_addresses(SUBNET) == ()
