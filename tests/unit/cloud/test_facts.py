"""Facts as values: what they compute, and that JSON brings them back."""

from __future__ import annotations

import pytest
from kip_conformance.infra.cloud.facts import (
    InstanceFacts,
    LeaseFacts,
    MetadataOptions,
    ZoneFacts,
    private_name,
    public_name,
)

from .some_facts import ROLE, instance, zone


@pytest.mark.parametrize(
    "facts",
    [
        instance(),
        instance(user_data=b"#!/bin/sh\n\xff\0", role=ROLE, options=MetadataOptions(hop_limit=2, shows_tags=True)),
        instance(user_data=b"", tags=(("Name", "a b"),), keys=(("mine", "ssh-ed25519 AAAA"),)),
    ],
    ids=["plain", "everything", "empty-user-data"],
)
def test_an_instance_comes_back_from_json(facts):
    assert InstanceFacts.from_json(facts.to_json()) == facts


@pytest.mark.parametrize("facts", [zone(), zone(upstream=None, hosted=(), public=())], ids=["full", "bare"])
def test_a_zone_comes_back_from_json(facts):
    assert ZoneFacts.from_json(facts.to_json()) == facts


def test_the_resolver_is_base_plus_two_of_the_primary_range():
    assert zone(cidrs=("172.28.0.0/18", "10.0.0.0/16")).resolver == "172.28.0.2"


def test_names_follow_the_region():
    """Amazon VPC User Guide, Understanding Amazon DNS: us-east-1 has domains of its own."""
    assert private_name("10.0.0.5", "us-east-1") == "ip-10-0-0-5.ec2.internal"
    assert private_name("10.0.0.5", "us-west-2") == "ip-10-0-0-5.us-west-2.compute.internal"
    assert public_name("192.0.2.4", "us-east-1") == "ec2-192-0-2-4.compute-1.amazonaws.com"
    assert public_name("192.0.2.4", "us-west-2") == "ec2-192-0-2-4.us-west-2.compute.amazonaws.com"


def test_a_lease_has_addresses_only():
    with pytest.raises(ValueError, match="AmazonProvidedDNS"):
        LeaseFacts("10.20.1.11", 24, "10.20.1.1", ("AmazonProvidedDNS",), "")
