"""A small region as the cloud's API shows it: one VPC with a public and a private subnet, and a peer."""

from __future__ import annotations

from kip_conformance.infra.cloud import view as api

LOCAL = api.Route("10.20.0.0/16", "local", "active")


def instance(identifier: str, interface: str, *, state: str = "running", **fields) -> api.Instance:
    values = {
        "type": "t3.small", "image": "ami-1", "zone": "eu-central-1a", "vpc": "vpc-main", "user_data": "",
        "role": "", "key_name": "", "launch_index": 0, "boots": 1, "tags": {}, "metadata_tokens": "optional",
        "metadata_hop_limit": 1, "metadata_endpoint": "enabled", "metadata_tags": "disabled",
    }  # fmt: skip
    return api.Instance(id=identifier, state=state, interfaces={"0": interface}, **{**values, **fields})


def interface(identifier: str, subnet: str, addresses: tuple[str, ...], holder: str, **fields) -> api.Interface:
    values = {
        "vpc": "vpc-main", "mac": "02:00:00:00:00:01", "public": {}, "groups": ("sg-1",), "source_dest_check": True,
        "kind": "interface", "service": "", "device_index": 0,
    }  # fmt: skip
    return api.Interface(id=identifier, subnet=subnet, addresses=addresses, instance=holder, **{**values, **fields})


def view(**changes) -> api.CloudView:
    everything = {
        "version": 7, "region": "eu-central-1", "account": "123456789012", "public_pool": "203.0.113.0/24",
        "vpcs": (
            api.Vpc("vpc-main", ("10.20.0.0/16", "100.64.0.0/20"), True, True, "", {}),
            api.Vpc("vpc-peer", ("172.28.0.0/18",), True, False, "dopt-1", {}),
        ),
        "subnets": (
            api.Subnet("subnet-public", "vpc-main", "10.20.1.0/24", "eu-central-1a", "rtb-public", {}),
            api.Subnet("subnet-private", "vpc-main", "10.20.16.0/22", "eu-central-1a", "rtb-private", {}),
            api.Subnet("subnet-peer", "vpc-peer", "172.28.1.0/24", "eu-central-1b", "rtb-peer", {}),
        ),
        "route_tables": (
            api.RouteTable(
                "rtb-public", "vpc-main", True, (), (),
                (
                    LOCAL,
                    api.Route("0.0.0.0/0", "igw-1", "active"),
                    api.Route("172.28.0.0/18", "pcx-1", "active"),
                    api.Route("192.168.50.0/24", "vgw-1", "active", True),
                ), {},
            ),
            api.RouteTable(
                "rtb-private", "vpc-main", False, ("subnet-private",), (),
                (
                    LOCAL,
                    api.Route("0.0.0.0/0", "nat-1", "active"),
                    api.Route("pl-s3", "vpce-s3", "active"),
                    api.Route("10.244.0.0/24", "eni-stopped", "active"),
                    api.Route("10.244.1.0/24", "eni-a", "active"),
                    api.Route("10.244.2.0/24", "eni-gone", "blackhole"),
                ), {},
            ),
            api.RouteTable(
                "rtb-peer", "vpc-peer", True, (), (), (api.Route("172.28.0.0/18", "local", "active"),), {}
            ),
        ),
        "interfaces": (
            interface(
                "eni-a", "subnet-public", ("10.20.1.11", "10.20.1.12"), "i-a", public={"10.20.1.11": "203.0.113.7"}
            ),
            interface("eni-b", "subnet-private", ("10.20.16.12",), "i-b"),
            interface("eni-stopped", "subnet-private", ("10.20.16.13",), "i-stopped"),
            interface("eni-free", "subnet-private", ("10.20.16.14",), ""),
            interface("eni-nat", "subnet-public", ("10.20.1.5",), "", kind="nat_gateway", service="nat-1", groups=()),
            interface("eni-ecr", "subnet-private", ("10.20.16.20",), "", kind="vpc_endpoint", service="vpce-ecr"),
        ),
        "groups": (
            api.Group(
                "sg-1", "nodes", "vpc-main",
                (api.Rule("all", None, group="sg-1"), api.Rule("tcp", (22, 22), cidr="0.0.0.0/0")),
                (api.Rule("tcp", (443, 443), prefix_list="pl-s3"),),
            ),
        ),
        "prefix_lists": (api.PrefixList("pl-s3", "com.amazonaws.eu-central-1.s3", ("192.0.2.0/26",)),),
        "internet_gateways": (api.InternetGateway("igw-1", "vpc-main"), api.InternetGateway("igw-free", "")),
        "nat_gateways": (
            api.NatGateway("nat-1", "vpc-main", "subnet-public", "eni-nat", "10.20.1.5", "203.0.113.8"),
        ),
        "endpoints": (
            api.Endpoint(
                "vpce-s3", "vpc-main", "Gateway", "com.amazonaws.eu-central-1.s3", ("rtb-private",), (), (), ()
            ),
            api.Endpoint(
                "vpce-ecr", "vpc-main", "Interface", "com.amazonaws.eu-central-1.ecr.api", (), ("eni-ecr",), ("sg-1",),
                ("api.ecr.eu-central-1.amazonaws.com",),
            ),
        ),
        "peerings": (api.Peering("pcx-1", "vpc-main", "vpc-peer"),),
        "vpn_gateways": (api.VpnGateway("vgw-1", "vpc-main"),),
        "vpn_connections": (
            api.VpnConnection("vpn-1", "vgw-1", "198.51.100.99", ("192.168.50.0/24",), ()),
        ),
        "dhcp_options": (api.DhcpOptions("dopt-1", "corp.example", ("AmazonProvidedDNS", "172.28.1.53"), ()),),
        "instances": (
            instance("i-a", "eni-a", tags={"Name": "a", "kip-conformance/name": "node-a"}),
            instance("i-b", "eni-b", state="pending", user_data="IyEvYmluL3NoCg=="),
            instance("i-stopped", "eni-stopped", state="stopped"),
        ),
    }  # fmt: skip
    return api.CloudView(**{**everything, **changes})
