"""An instance, a role, a VPC: facts for the tests of what is made of them."""

from __future__ import annotations

import dataclasses
from typing import Any

from kip_conformance.infra.cloud.facts import (
    HostedZone,
    InstanceFacts,
    InterfaceFacts,
    RoleFacts,
    Upstream,
    ZoneFacts,
    private_name,
)

REGION = "eu-central-1"
ROLE = RoleFacts(
    "node-role",
    "arn:aws:iam::123456789012:instance-profile/node",
    "AIPA0",
    "ASIAEXAMPLE",
    "secret",
    "token",
    "2026-01-01T00:00:00Z",
    "2026-01-01T06:00:00Z",
)


def interface(number: int, *addresses: str, public: tuple[tuple[str, str], ...] = ()) -> InterfaceFacts:
    return InterfaceFacts(
        interface_id=f"eni-{number}",
        netns=f"nic-eni-{number}",
        device_number=number,
        mac=f"02:00:00:00:00:0{number}",
        subnet_id="subnet-1",
        subnet_cidr="10.20.1.0/24",
        vpc_id="vpc-1",
        vpc_cidrs=("10.20.0.0/16", "100.64.0.0/20"),
        addresses=addresses,
        public=public,
        groups=(("sg-1", "default"), ("sg-2", "web")),
    )


def instance(**changes: Any) -> InstanceFacts:
    first = interface(0, "10.20.1.11", "10.20.1.12", public=(("203.0.113.5", "10.20.1.11"),))
    made = InstanceFacts(
        instance_id="i-1",
        instance_type="t3.medium",
        image_id="ami-1",
        region=REGION,
        zone=f"{REGION}a",
        zone_id="euc1-az2",
        account="123456789012",
        hostname=private_name("10.20.1.11", REGION),
        interfaces=(first, interface(1, "10.20.1.13")),
        public_hostname=f"ec2-203-0-113-5.{REGION}.compute.amazonaws.com",
        pending_time="2026-01-01T00:00:00Z",
    )
    return dataclasses.replace(made, **changes)


def zone(**changes: Any) -> ZoneFacts:
    made = ZoneFacts(
        vpc_id="vpc-1",
        region=REGION,
        cidrs=("10.20.0.0/16", "100.64.0.0/20"),
        addresses=("10.20.1.11", "10.20.1.13", "100.64.0.9"),
        public=(("203.0.113.5", "10.20.1.11"),),
        hosted=(
            HostedZone(f"ec2.{REGION}.amazonaws.com", ((f"ec2.{REGION}.amazonaws.com", ("10.20.1.50", "10.20.2.50")),)),
            HostedZone(f"dkr.ecr.{REGION}.amazonaws.com", ((f"*.dkr.ecr.{REGION}.amazonaws.com", ("10.20.1.51",)),)),
        ),
        upstream=Upstream("outside", "198.51.100.53"),
    )
    return dataclasses.replace(made, **changes)
