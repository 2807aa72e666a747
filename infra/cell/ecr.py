"""Credentials of an ECR registry: a token of the region's API, asked for with the role of the instance.

Sources: Amazon ECR API Reference, GetAuthorizationToken; AWS General Reference, Signature Version 4; Amazon EC2 User
Guide, instance metadata. A program of its own, whose memory is the machine's again when it has ended.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kip_conformance.infra.cell.commands import own_program, run

__all__ = ["EcrTokens", "main", "region_of", "signed_headers"]

_HOST = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com")
_METADATA = "http://169.254.169.254/latest"
_TARGET = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
_SECONDS = 5.0
_EARLY = 300.0
"""Seconds before its end from which a token is not used any more."""


def region_of(host: str) -> str:
    """The region of a registry of ECR; nothing for any other host."""
    found = _HOST.fullmatch(host)
    return found[2] if found else ""


class EcrTokens:
    """Logins by region, asked for when needed and kept until they end. `authority` is a file of PEM, or empty."""

    def __init__(self, authority: str = "") -> None:
        self.authority = authority
        self._kept: dict[str, tuple[float, dict[str, str]]] = {}

    def login(self, host: str) -> dict[str, str] | None:
        """What to log in with at this host; None for a host that is not ECR's.

        Raises CellProblem when the instance has no role, or the API is not reached or refuses.
        """
        region = region_of(host)
        if not region:
            return None
        until, login = self._kept.get(region, (0.0, {}))
        if time.time() > until - _EARLY:
            told = json.loads(run([*own_program(), "ecr", region, self.authority], seconds=6 * _SECONDS))
            until, login = float(told["until"]), {"auth": str(told["auth"])}
            self._kept[region] = until, login
        return login


def main(arguments: Sequence[str]) -> int:
    """`REGION AUTHORITY`: prints {"auth", "until"}; returns 1 with one line on stderr when there is no token."""
    region, authority = arguments
    try:
        credentials = _role_credentials()
        told = _ask(region, authority, credentials)
        found = told["authorizationData"][0]
        print(json.dumps({"auth": found["authorizationToken"], "until": found["expiresAt"]}))
    except (OSError, ValueError, KeyError, IndexError) as error:
        why = getattr(error, "reason", None) or error
        print(f"no token from api.ecr.{region}.amazonaws.com: {why}", file=sys.stderr)
        return 1
    return 0


def _role_credentials() -> dict[str, str]:
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    with urlopen(Request(f"{_METADATA}/api/token", method="PUT", headers=lifetime), timeout=_SECONDS) as answer:
        proof = {"X-aws-ec2-metadata-token": answer.read().decode()}
    folder = f"{_METADATA}/meta-data/iam/security-credentials/"
    try:
        with urlopen(Request(folder, headers=proof), timeout=_SECONDS) as answer:
            role = answer.read().decode().split()[0]
        with urlopen(Request(folder + role, headers=proof), timeout=_SECONDS) as answer:
            found: dict[str, str] = json.load(answer)
    except (HTTPError, IndexError) as error:
        raise ValueError("the instance has no role; give cells an instance profile that may read from ECR") from error
    return found


def _ask(region: str, authority: str, credentials: Mapping[str, str]) -> dict[str, Any]:
    import ssl
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    host = f"api.ecr.{region}.amazonaws.com"
    trust = ssl.create_default_context()
    if authority:
        trust.load_verify_locations(authority)
    headers = signed_headers(host, region, b"{}", credentials, time.gmtime())
    try:
        with urlopen(Request(f"https://{host}/", b"{}", headers), timeout=_SECONDS, context=trust) as answer:
            told: dict[str, Any] = json.load(answer)
    except HTTPError as error:
        raise ValueError(f"it answered {error.code}: {error.read(300).decode(errors='replace')}") from error
    return told


def signed_headers(
    host: str, region: str, body: bytes, credentials: Mapping[str, str], now: time.struct_time
) -> dict[str, str]:
    """The headers of a POST to ECR's API, signed with `credentials` as the metadata service gives them."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", now)
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": host,
        "x-amz-date": moment,
        "x-amz-target": _TARGET,
    }
    if credentials.get("Token"):
        headers["x-amz-security-token"] = credentials["Token"]
    names = ";".join(sorted(headers))
    listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"POST\n/\n\n{listed}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{moment[:8]}/{region}/ecr/aws4_request"
    signed = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials['SecretAccessKey']}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()
    identity = f"Credential={credentials['AccessKeyId']}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 {identity}, SignedHeaders={names}, Signature={signature}"
    return headers
