"""What the lab's VPC is connected with: a peered VPC, and by VPN the site on premises. Calls to the cloud's API only.

The machines of the site are site.py's.
"""

from __future__ import annotations

from typing import Any

from kip_conformance.infra.lab.plan import LabPlan
from kip_conformance.infra.lab.vpc import LabVpc, named

__all__ = ["connect_peer", "connect_site"]


def connect_site(ec2: Any, plan: LabPlan, made: LabVpc) -> str:
    """A virtual private gateway and a connection to the site, whose ranges every route table learns; returns its id."""
    gateway = ec2.create_vpn_gateway(Type="ipsec.1", TagSpecifications=named("vpn-gateway", "site"))
    gateway = gateway["VpnGateway"]["VpnGatewayId"]
    ec2.attach_vpn_gateway(VpnGatewayId=gateway, VpcId=made.vpc)
    customer = ec2.create_customer_gateway(
        Type="ipsec.1", IpAddress=plan.customer, BgpAsn=65000, TagSpecifications=named("customer-gateway", "site")
    )
    connection: str = ec2.create_vpn_connection(
        Type="ipsec.1",
        CustomerGatewayId=customer["CustomerGateway"]["CustomerGatewayId"],
        VpnGatewayId=gateway,
        Options={"StaticRoutesOnly": True},
        TagSpecifications=named("vpn-connection", "site"),
    )["VpnConnection"]["VpnConnectionId"]
    for cidr in (plan.on_prem, plan.on_prem_pods):
        ec2.create_vpn_connection_route(VpnConnectionId=connection, DestinationCidrBlock=cidr)
    for table in made.tables.values():
        ec2.enable_vgw_route_propagation(RouteTableId=table, GatewayId=gateway)
    return connection


def connect_peer(ec2: Any, plan: LabPlan, made: LabVpc) -> str:
    """A second VPC with one subnet, peered, and the routes both ways; returns its id."""
    peer: str = ec2.create_vpc(CidrBlock=plan.peer, TagSpecifications=named("vpc", "peer"))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(
        VpcId=peer,
        CidrBlock=plan.peer_subnet,
        AvailabilityZone=f"{ec2.meta.region_name}a",
        TagSpecifications=named("subnet", "peer-a"),
    )["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=peer, TagSpecifications=named("route-table", "peer"))["RouteTable"]
    ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnet)
    peering = ec2.create_vpc_peering_connection(
        VpcId=made.vpc, PeerVpcId=peer, TagSpecifications=named("vpc-peering-connection", "peer")
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    # A cell there fetches its agent from S3.
    ec2.create_vpc_endpoint(
        VpcId=peer,
        ServiceName=f"com.amazonaws.{ec2.meta.region_name}.s3",
        RouteTableIds=[table["RouteTableId"]],
        TagSpecifications=named("vpc-endpoint", "peer-s3"),
    )
    for own in made.tables.values():
        ec2.create_route(RouteTableId=own, DestinationCidrBlock=plan.peer, VpcPeeringConnectionId=peering)
    for cidr in (plan.vpc, plan.secondary):
        ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock=cidr, VpcPeeringConnectionId=peering)
    return peer
