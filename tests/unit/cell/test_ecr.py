"""A request to ECR's API, signed as others sign it."""

from __future__ import annotations

import time

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from kip_conformance.infra.cell.ecr import region_of, signed_headers

HOST = "api.ecr.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("token", ["", "session"])
def test_a_request_is_signed_as_botocore_signs_it(token):
    given = {"AccessKeyId": "AKID", "SecretAccessKey": "secret/key", "Token": token}
    made = signed_headers(HOST, "eu-central-1", b"{}", given, time.gmtime(1_800_000_000))
    headers = {name: value for name, value in made.items() if name in ("content-type", "x-amz-target", "host")}
    if token:
        headers["x-amz-security-token"] = token
    request = AWSRequest("POST", f"https://{HOST}/", data=b"{}", headers=headers)
    request.headers["X-Amz-Date"] = made["x-amz-date"]
    request.context["timestamp"] = made["x-amz-date"]
    signer = SigV4Auth(Credentials("AKID", "secret/key", token or None), "ecr", "eu-central-1")
    wanted = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)

    assert made["authorization"].endswith(f"Signature={wanted}")


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "eu-central-1"),
        ("12.dkr.ecr.eu-central-1.amazonaws.com", ""),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.org", ""),
        ("docker.io", ""),
    ],
)
def test_which_hosts_are_ecrs(host, region):
    assert region_of(host) == region
