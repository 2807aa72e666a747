"""A walk of random calls, most of them sensible: after each few of them the API's state is a network that can be."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from kip_conformance.infra.cloud.client import CloudClient
from kip_conformance.infra.cloud.network import network_of
from kip_conformance.infra.cloud.outside import SERVICES, Outside
from kip_conformance.infra.fabric.state import Host, Lan

AROUND = Outside(
    lans=(SERVICES, Lan("site", "192.168.50.0/24")),
    hosts=(Host("sts", SERVICES.name, "192.0.2.70"), Host("customer", "site", "192.168.50.1", gateway="-")),
    services={"sts": "192.0.2.70"},
    customers={"198.51.100.7": "customer"},
)
RANGES = (
    "10.20.0.0/16",
    "10.20.1.0/24",
    "10.30.0.0/16",
    "10.30.1.0/24",
    "192.168.50.0/24",
    "0.0.0.0/0",
    "100.64.0.0/20",
)


class Walk:
    """Makes calls with ids that there are; what is refused by a code of the API is fine."""

    def __init__(self, ec2: Any, seed: int) -> None:
        self.ec2 = ec2
        self.chance = random.Random(seed)
        self.ids: dict[str, list[str]] = {}
        self.outcomes: Counter[str] = Counter()
        self.steps: list[Callable[[], Any]] = [
            getattr(self, name) for name in sorted(dir(self)) if name.startswith("do_")
        ]

    def any(self, kind: str) -> str:
        """One of the ids of a kind, or one that nothing has."""
        return self.chance.choice(self.ids.get(kind) or [f"{kind}-0123456789abcdef0"])

    def keep(self, kind: str, made: str) -> None:
        self.ids.setdefault(kind, []).append(made)

    def step(self) -> None:
        do = self.chance.choice(self.steps)
        try:
            do()
            self.outcomes["done"] += 1
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("InternalError", "500"):
                raise
            self.outcomes[code] += 1

    def do_vpc(self):
        self.keep("vpc", self.ec2.create_vpc(CidrBlock=self.chance.choice(RANGES[:3]))["Vpc"]["VpcId"])

    def do_subnet(self):
        second = self.chance.randrange(10, 40, 10)
        cidr = f"10.{second}.{self.chance.randrange(8)}.0/{self.chance.choice([24, 28])}"
        zone = f"eu-central-1{self.chance.choice('ab')}"
        made = self.ec2.create_subnet(VpcId=self.any("vpc"), CidrBlock=cidr, AvailabilityZone=zone)
        self.keep("subnet", made["Subnet"]["SubnetId"])

    def do_run(self):
        spec = {"DeviceIndex": 0, "SubnetId": self.any("subnet"), "SecondaryPrivateIpAddressCount": 1}
        spec["AssociatePublicIpAddress"] = self.chance.random() < 0.5
        made = self.ec2.run_instances(
            ImageId="ami-0d00000000000debd", MinCount=1, MaxCount=2, InstanceType="t3.small", NetworkInterfaces=[spec]
        )["Instances"]
        for one in made:
            self.keep("i", one["InstanceId"])
            self.keep("eni", one["NetworkInterfaces"][0]["NetworkInterfaceId"])

    do_run_again = do_run

    def do_terminate(self):
        self.ec2.terminate_instances(InstanceIds=[self.any("i")])

    def do_stop(self):
        self.ec2.stop_instances(InstanceIds=[self.any("i")])

    def do_start(self):
        self.ec2.start_instances(InstanceIds=[self.any("i")])

    def do_interface(self):
        made = self.ec2.create_network_interface(SubnetId=self.any("subnet"))["NetworkInterface"]
        self.keep("eni", made["NetworkInterfaceId"])

    def do_attach(self):
        index = self.chance.randrange(1, 3)
        made = self.ec2.attach_network_interface(
            NetworkInterfaceId=self.any("eni"), InstanceId=self.any("i"), DeviceIndex=index
        )
        self.keep("eni-attach", made["AttachmentId"])

    def do_detach(self):
        self.ec2.detach_network_interface(AttachmentId=self.any("eni-attach"))

    def do_delete_interface(self):
        self.ec2.delete_network_interface(NetworkInterfaceId=self.any("eni"))

    def do_assign(self):
        self.ec2.assign_private_ip_addresses(NetworkInterfaceId=self.any("eni"), SecondaryPrivateIpAddressCount=1)

    def do_gateway(self):
        made = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.keep("igw", made)
        self.ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=self.any("vpc"))

    def do_detach_gateway(self):
        self.ec2.detach_internet_gateway(InternetGatewayId=self.any("igw"), VpcId=self.any("vpc"))

    def do_address(self):
        self.keep("eipalloc", self.ec2.allocate_address(Domain="vpc")["AllocationId"])

    def do_associate(self):
        self.ec2.associate_address(AllocationId=self.any("eipalloc"), NetworkInterfaceId=self.any("eni"))

    def do_nat(self):
        made = self.ec2.create_nat_gateway(SubnetId=self.any("subnet"), AllocationId=self.any("eipalloc"))
        self.keep("nat", made["NatGateway"]["NatGatewayId"])

    def do_delete_nat(self):
        self.ec2.delete_nat_gateway(NatGatewayId=self.any("nat"))

    def do_table(self):
        made = self.ec2.create_route_table(VpcId=self.any("vpc"))["RouteTable"]["RouteTableId"]
        self.keep("rtb", made)
        self.ec2.associate_route_table(RouteTableId=made, SubnetId=self.any("subnet"))

    def do_route(self):
        member, kind = self.chance.choice(
            [("GatewayId", "igw"), ("NatGatewayId", "nat"), ("InstanceId", "i"), ("NetworkInterfaceId", "eni"),
             ("VpcPeeringConnectionId", "pcx"), ("GatewayId", "vgw")]
        )  # fmt: skip
        cidr = self.chance.choice(RANGES)
        self.ec2.create_route(RouteTableId=self.any("rtb"), DestinationCidrBlock=cidr, **{member: self.any(kind)})

    do_route_again = do_route

    def do_delete_route(self):
        self.ec2.delete_route(RouteTableId=self.any("rtb"), DestinationCidrBlock=self.chance.choice(RANGES))

    def do_peer(self):
        made = self.ec2.create_vpc_peering_connection(VpcId=self.any("vpc"), PeerVpcId=self.any("vpc"))
        self.keep("pcx", made["VpcPeeringConnection"]["VpcPeeringConnectionId"])

    def do_accept(self):
        self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=self.any("pcx"))

    def do_range(self):
        self.ec2.associate_vpc_cidr_block(VpcId=self.any("vpc"), CidrBlock=self.chance.choice(RANGES[2:]))

    def do_vpn(self):
        gateway = self.ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
        self.keep("vgw", gateway)
        self.ec2.attach_vpn_gateway(VpnGatewayId=gateway, VpcId=self.any("vpc"))
        customer = self.ec2.create_customer_gateway(Type="ipsec.1", IpAddress="198.51.100.7")["CustomerGateway"]
        made = self.ec2.create_vpn_connection(
            Type="ipsec.1", CustomerGatewayId=customer["CustomerGatewayId"], VpnGatewayId=gateway,
            Options={"StaticRoutesOnly": True},
        )["VpnConnection"]["VpnConnectionId"]  # fmt: skip
        self.ec2.create_vpn_connection_route(VpnConnectionId=made, DestinationCidrBlock=self.chance.choice(RANGES))

    def do_propagate(self):
        self.ec2.enable_vgw_route_propagation(RouteTableId=self.any("rtb"), GatewayId=self.any("vgw"))

    def do_endpoint(self):
        name, tables = "com.amazonaws.eu-central-1.s3", [self.any("rtb")]
        self.ec2.create_vpc_endpoint(VpcId=self.any("vpc"), ServiceName=name, RouteTableIds=tables)

    def do_interface_endpoint(self):
        self.ec2.create_vpc_endpoint(
            VpcId=self.any("vpc"), ServiceName="com.amazonaws.eu-central-1.sts", VpcEndpointType="Interface",
            SubnetIds=[self.any("subnet")], PrivateDnsEnabled=False,
        )  # fmt: skip

    def do_group(self):
        name = f"group-{self.chance.random()}"
        made = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.any("vpc"))["GroupId"]
        self.keep("sg", made)
        rule = {
            "IpProtocol": self.chance.choice(["-1", "47", "icmp"]),
            "UserIdGroupPairs": [{"GroupId": self.any("sg")}],
        }
        self.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[rule])

    def do_regroup(self):
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=self.any("eni"), Groups=[self.any("sg")])

    def do_delete_vpc(self):
        self.ec2.delete_vpc(VpcId=self.any("vpc"))


@pytest.mark.parametrize("seed", [1, 30])
def test_every_state_is_a_network(own_server, seed):
    server = own_server()
    walk, client = Walk(server.client(), seed), CloudClient(server.url)
    for _ in range(4):
        walk.do_vpc()
        for _ in range(3):
            walk.step()
    for number in range(400):
        walk.step()
        if number % 10 == 0:
            network_of(client.view(), AROUND).validate()
    network_of(client.view(), AROUND).validate()
    assert walk.outcomes["done"] > 60, walk.outcomes
