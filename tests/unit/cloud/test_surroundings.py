"""What the cloud's API says becomes what an instance finds around itself."""

from __future__ import annotations

import base64
import dataclasses

import pytest
from kip_conformance.infra.cloud.facts import HostedZone, Upstream
from kip_conformance.infra.cloud.surroundings import Surroundings, zone_id
from kip_conformance.infra.cloud.view import (
    CloudView,
    DhcpOptions,
    Endpoint,
    Group,
    Instance,
    Interface,
    Subnet,
    Vpc,
)

from .some_facts import REGION, ROLE

UPSTREAM = Upstream("outside", "198.51.100.53")


def interface(id_, addresses, *, public=None, kind="interface", instance="i-1", index=0):
    return Interface(
        id_, "subnet-1", "vpc-1", "02:00:00:00:00:01", addresses,
        public or {}, ("sg-1",), True, kind, "", instance, index,
    )  # fmt: skip


def view(*, domain=f"{REGION}.compute.internal", servers=("AmazonProvidedDNS",), options="dopt-1", vpc=None, **changes):
    instance = Instance(
        "i-1", "t3.micro", "ami-1", "running", f"{REGION}b", "vpc-1", {"0": "eni-1", "1": "eni-2"},
        base64.b64encode(b"#!/bin/sh\n").decode(), "node", "", 3, 1, {"Name": "a"},
        "required", 2, "enabled", "disabled",
    )  # fmt: skip
    network = Vpc("vpc-1", ("10.20.0.0/16", "100.64.0.0/20"), True, True, options, {})
    return CloudView(
        version=1,
        region=REGION,
        account="123456789012",
        public_pool="203.0.113.0/24",
        vpcs=(dataclasses.replace(network, **(vpc or {})),),
        subnets=(Subnet("subnet-1", "vpc-1", "10.20.1.0/24", f"{REGION}b", "rtb-1", {}),),
        route_tables=(),
        interfaces=(
            interface("eni-1", ("10.20.1.11", "10.20.1.12"), public={"10.20.1.11": "203.0.113.5"}),
            interface("eni-2", ("10.20.1.13",), index=1),
            interface("eni-3", ("10.20.1.50",), kind="vpc_endpoint", instance=""),
        ),
        groups=(Group("sg-1", "default", "vpc-1", (), ()),),
        prefix_lists=(),
        internet_gateways=(),
        nat_gateways=(),
        endpoints=(
            Endpoint("vpce-1", "vpc-1", "Interface", "ecr", (), ("eni-3",), (), ("api.ecr.test", "*.dkr.ecr.test")),
            Endpoint("vpce-2", "vpc-1", "Gateway", "s3", ("rtb-1",), (), (), ()),
        ),
        peerings=(),
        vpn_gateways=(),
        vpn_connections=(),
        dhcp_options=(DhcpOptions("dopt-1", domain, servers, ("10.20.0.9",)),),
        instances=(dataclasses.replace(instance, **changes),),
    )


def test_an_instance():
    facts = Surroundings(view(), role={"node": ROLE}.get).instance("i-1")

    assert facts.hostname == f"ip-10-20-1-11.{REGION}.compute.internal"
    assert facts.public_hostname == f"ec2-203-0-113-5.{REGION}.compute.amazonaws.com"
    assert (facts.zone, facts.zone_id, facts.launch_index) == (f"{REGION}b", "euc1-az2", 3)
    assert facts.user_data == b"#!/bin/sh\n"
    assert facts.role == ROLE
    assert (facts.options.requires_token, facts.options.hop_limit, facts.options.shows_tags) == (True, 2, False)
    assert [(one.interface_id, one.netns, one.device_number) for one in facts.interfaces] == [
        ("eni-1", "nic-eni-1", 0),
        ("eni-2", "nic-eni-2", 1),
    ]
    assert facts.interfaces[0].public == (("203.0.113.5", "10.20.1.11"),)
    assert facts.interfaces[0].groups == (("sg-1", "default"),)


def test_without_user_data_role_and_public_names():
    """Amazon VPC User Guide, Understanding Amazon DNS: a public name needs both attributes."""
    facts = Surroundings(view(user_data="", role="", vpc={"dns_hostnames": False})).instance("i-1")

    assert (facts.user_data, facts.role, facts.public_hostname) == (None, None, "")


def test_a_domain_of_one_s_own_is_in_the_host_s_name():
    assert Surroundings(view(domain="corp.test other.test")).instance("i-1").hostname == "ip-10-20-1-11.corp.test"


def test_what_an_instance_is_told_of_its_launch():
    told = view(reservation="r-1", launched="2026-01-02T03:04:05Z", key_name="mine", public_key="ssh-ed25519 AAAA mine")
    facts = Surroundings(told).instance("i-1")

    assert (facts.reservation_id, facts.pending_time) == ("r-1", "2026-01-02T03:04:05Z")
    assert facts.keys == (("mine", "ssh-ed25519 AAAA mine"),)
    assert Surroundings(view()).instance("i-1").keys == ()


def test_the_zone_of_a_vpc():
    facts = Surroundings(view(), UPSTREAM).zone("vpc-1")

    assert facts.resolver == "10.20.0.2"
    assert facts.addresses == ("10.20.1.11", "10.20.1.12", "10.20.1.13", "10.20.1.50")
    assert facts.public == (("203.0.113.5", "10.20.1.11"),)
    assert facts.hosted == (
        HostedZone("api.ecr.test", (("api.ecr.test", ("10.20.1.50",)),)),
        HostedZone("dkr.ecr.test", (("*.dkr.ecr.test", ("10.20.1.50",)),)),
    )
    assert facts.upstream == UPSTREAM


def test_the_lease():
    """Amazon VPC User Guide, DHCP option sets."""
    lease = Surroundings(view(servers=("10.20.0.9", "AmazonProvidedDNS"))).lease("i-1")

    assert (lease.address, lease.prefix_length, lease.router) == ("10.20.1.11", 24, "10.20.1.1")
    assert lease.name_servers == ("10.20.0.9", "10.20.0.2")
    assert lease.domain_name == f"{REGION}.compute.internal"
    assert lease.ntp_servers == ("10.20.0.9",)


def test_a_vpc_without_options_tells_no_name_servers():
    lease = Surroundings(view(options="")).lease("i-1")

    assert (lease.name_servers, lease.domain_name) == ((), "")


@pytest.mark.parametrize(
    ("zone", "id_"),
    [("us-east-1a", "use1-az1"), ("ap-southeast-2c", "apse2-az3"), ("ap-northeast-1b", "apne1-az2")],
)
def test_the_id_of_a_zone(zone, id_):
    assert zone_id(zone) == id_
