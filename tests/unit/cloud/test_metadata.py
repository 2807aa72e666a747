"""The metadata service without a network: tree, tokens, refusals. Sources are named in metadata.py."""

from __future__ import annotations

import json

import pytest
from kip_conformance.infra.cloud.facts import MetadataOptions
from kip_conformance.infra.cloud.link_local.http import Request
from kip_conformance.infra.cloud.link_local.metadata import Tokens, respond
from kip_conformance.infra.cloud.link_local.metadata_tree import find, tree

from .some_facts import ROLE, instance

MACS = "/latest/meta-data/network/interfaces/macs/"
FIRST = f"{MACS}02:00:00:00:00:00/"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(clock):
    return Tokens(clock)


@pytest.fixture
def ask(tokens):
    """(method, path, headers, facts) -> status and body."""

    def asked(method, path, headers=None, facts=None):
        said = respond(facts or instance(), tokens, Request(method, path, headers or {}))
        head, _, body = said.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    return asked


def value(path, **changes):
    found = find(tree(instance(**changes)), path)
    return None if found is None else found.decode()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/latest/meta-data/instance-id", "i-1"),
        ("/2021-07-15/meta-data/instance-type", "t3.medium"),
        ("/latest/meta-data/local-ipv4", "10.20.1.11"),
        ("/latest/meta-data/public-ipv4", "203.0.113.5"),
        ("/latest/meta-data/hostname", "ip-10-20-1-11.eu-central-1.compute.internal"),
        ("/latest/meta-data/placement/availability-zone", "eu-central-1a"),
        ("/latest/meta-data/placement/region", "eu-central-1"),
        ("/latest/meta-data/security-groups", "default\nweb"),
        ("/latest/meta-data/services/partition", "aws"),
        (MACS, "02:00:00:00:00:00/\n02:00:00:00:00:01/"),
        (f"{FIRST}local-ipv4s", "10.20.1.11\n10.20.1.12"),
        (f"{FIRST}public-ipv4s", "203.0.113.5"),
        (f"{FIRST}ipv4-associations/", "203.0.113.5"),
        (f"{FIRST}ipv4-associations/203.0.113.5", "10.20.1.11"),
        (f"{FIRST}device-number", "0"),
        (f"{FIRST}interface-id", "eni-0"),
        (f"{FIRST}subnet-id", "subnet-1"),
        (f"{FIRST}subnet-ipv4-cidr-block", "10.20.1.0/24"),
        (f"{FIRST}vpc-id", "vpc-1"),
        (f"{FIRST}vpc-ipv4-cidr-block", "10.20.0.0/16"),
        (f"{FIRST}vpc-ipv4-cidr-blocks", "10.20.0.0/16\n100.64.0.0/20"),
        (f"{FIRST}security-group-ids", "sg-1\nsg-2"),
        (f"{FIRST}owner-id", "123456789012"),
        (f"{MACS}02:00:00:00:00:01/public-ipv4s", None),
        ("/latest/meta-data/iam/", None),
        ("/latest/meta-data/tags/instance", None),
        ("/latest/meta-data/nothing", None),
        ("/latest/meta-data/instance-id/", "i-1"),
        ("/latest/meta-data/instance-id//", None),
        ("//latest/meta-data/instance-id", None),
        ("/latest/meta-data/instance-id/more", None),
        ("/latest/user-data", None),
        ("/1999-01-01/meta-data/", None),
    ],
)
def test_what_a_path_answers(path, expected):
    """Amazon EC2 User Guide, Instance metadata categories."""
    assert value(path) == expected


@pytest.mark.parametrize("path", ["/latest", "/latest/meta-data", "/latest/meta-data/placement", MACS[:-1]])
def test_a_listing_is_the_same_with_and_without_its_slash(path):
    assert value(path) == value(f"{path}/")
    assert value(path)


def test_the_listings_from_the_top():
    assert value("/").splitlines()[-1] == "latest"
    assert value("/latest/", user_data=b"x").split() == ["dynamic", "meta-data", "user-data"]
    assert "placement/" in value("/latest/meta-data/").splitlines()
    assert "instance-id" in value("/latest/meta-data/").splitlines()


def test_the_role_and_its_credentials():
    """Amazon EC2 User Guide, Retrieve security credentials from instance metadata."""
    assert value("/latest/meta-data/iam/security-credentials/", role=ROLE) == "node-role"
    found = json.loads(value("/latest/meta-data/iam/security-credentials/node-role", role=ROLE))
    assert found == {
        "Code": "Success",
        "LastUpdated": "2026-01-01T00:00:00Z",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": "secret",
        "Token": "token",
        "Expiration": "2026-01-01T06:00:00Z",
    }
    assert json.loads(value("/latest/meta-data/iam/info", role=ROLE))["InstanceProfileArn"] == ROLE.profile_arn


def test_tags_appear_only_where_they_are_allowed():
    """Amazon EC2 User Guide, View tags for your EC2 instances using instance metadata."""
    tags = (("Name", "node-a"), ("KipNametag", "x"))

    assert value("/latest/meta-data/tags/instance", tags=tags) is None
    shown = {"tags": tags, "options": MetadataOptions(shows_tags=True)}
    assert value("/latest/meta-data/tags/instance", **shown) == "KipNametag\nName"
    assert value("/latest/meta-data/tags/instance/Name", **shown) == "node-a"


def test_public_keys_are_listed_by_number_and_name():
    keys = (("mine", "ssh-ed25519 AAAA mine"),)

    assert value("/latest/meta-data/public-keys/", keys=keys) == "0=mine"
    assert value("/latest/meta-data/public-keys/0/", keys=keys) == "openssh-key"
    assert value("/latest/meta-data/public-keys/0/openssh-key", keys=keys) == "ssh-ed25519 AAAA mine\n"


def test_the_identity_document():
    """Amazon EC2 User Guide, Instance identity documents."""
    document = json.loads(value("/latest/dynamic/instance-identity/document"))

    assert document["instanceId"] == "i-1"
    assert document["privateIp"] == "10.20.1.11"
    assert document["region"] == "eu-central-1"
    assert document["accountId"] == "123456789012"


def token_of(ask, seconds="60", facts=None):
    status, body = ask("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": seconds}, facts)
    assert status == 200
    return {"x-aws-ec2-metadata-token": body}


def test_version_1_needs_no_token_and_version_2_does(ask):
    only_2 = instance(options=MetadataOptions(requires_token=True))

    assert ask("GET", "/latest/meta-data/instance-id") == (200, "i-1")
    assert ask("GET", "/latest/meta-data/instance-id", facts=only_2)[0] == 401
    assert ask("GET", "/latest/meta-data/instance-id", token_of(ask, facts=only_2), only_2) == (200, "i-1")


def test_a_wrong_token_is_refused_where_none_would_be_needed(ask):
    for token in ("", "x", "AAAA" * 14, "ü" * 56):
        assert ask("GET", "/latest/meta-data/instance-id", {"x-aws-ec2-metadata-token": token})[0] == 401


@pytest.mark.parametrize("seconds", ["0", "21601", "-1", "x", "", "1.5", "99999999999999999999", "٣"])
def test_a_token_s_life_is_1_to_21600_seconds(ask, seconds):
    assert ask("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": seconds})[0] == 400


def test_a_token_without_a_life_is_refused(ask):
    assert ask("PUT", "/latest/api/token")[0] == 400


def test_a_token_runs_out(ask, clock):
    token = token_of(ask, "60")

    clock.now += 59
    assert ask("GET", "/latest/meta-data/instance-id", token)[0] == 200
    clock.now += 1
    assert ask("GET", "/latest/meta-data/instance-id", token)[0] == 401


def test_a_token_is_good_on_its_own_instance_only(ask):
    token = token_of(ask)

    assert ask("GET", "/latest/meta-data/instance-id", token, instance(instance_id="i-2"))[0] == 401


def test_a_forwarded_token_request_is_refused(ask):
    headers = {"x-aws-ec2-metadata-token-ttl-seconds": "60", "x-forwarded-for": "10.0.0.1"}

    assert ask("PUT", "/latest/api/token", headers)[0] == 403


def test_a_disabled_service_refuses_everything(ask):
    off = instance(options=MetadataOptions(is_enabled=False))

    assert ask("GET", "/latest/meta-data/instance-id", facts=off)[0] == 403
    assert ask("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "60"}, off)[0] == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/latest/api/token", 405), ("DELETE", "/latest", 405), ("PUT", "/latest/meta-data", 404)],
)
def test_other_methods_and_places(ask, method, path, status):
    assert ask(method, path)[0] == status


def test_a_head_has_no_body(ask):
    assert ask("HEAD", "/latest/meta-data/instance-id") == (200, "")


def test_user_data_is_what_was_given(ask):
    assert ask("GET", "/latest/user-data", facts=instance(user_data=b"#!/bin/sh\n")) == (200, "#!/bin/sh\n")
    assert ask("GET", "/latest/user-data")[0] == 404
