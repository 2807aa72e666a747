"""Tokens for the container registry: ECR's GetAuthorizationToken, and what a proxy before a registry asks.

A token is user AWS and a password that says account, access key and expiry, sealed with a key of this cloud's folder.
A proxy sends what it got in its client's Basic credentials to `/_kip/registry?repository=NAME`; the repository must
exist, and its policy may keep the access key out: a statement with Effect Deny whose Principal is the access key.
Source: "Amazon ECR API Reference, GetAuthorizationToken": valid for 12 hours, for every registry that the caller may
use.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from kip_conformance.infra.cloud.api.ec2 import Answer
from kip_conformance.infra.cloud.api.settings import Settings

__all__ = ["LIFETIME", "Registry"]

LIFETIME = 12 * 3600.0


class Registry:
    """Makes and checks tokens. `backend` gives moto's ECR state of the region."""

    def __init__(self, settings: Settings, backend: Callable[[], Any], clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._backend = backend
        self._clock = clock
        path = settings.folder / "registry.key"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(secrets.token_bytes(32))
        self._key = path.read_bytes()

    def authorization_token(self, access_key: str) -> Answer:
        """The answer to GetAuthorizationToken."""
        expires = self._clock() + LIFETIME
        said = json.dumps({"account": self._settings.account, "key": access_key, "expires": expires})
        content = base64.urlsafe_b64encode(said.encode()).decode()
        token = base64.b64encode(f"AWS:{content}.{self._seal(content)}".encode()).decode()
        host = f"https://{self._settings.account}.dkr.ecr.{self._settings.region}.amazonaws.com"
        data = {"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": host}
        body = json.dumps({"authorizationData": [data]}).encode()
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, body

    def refusal(self, password: str, repository: str) -> str:
        """Why a password does not open a repository; empty when it does."""
        content, _, seal = password.partition(".")
        if not hmac.compare_digest(seal, self._seal(content)):
            return "the credentials are not of this registry"
        said = json.loads(base64.urlsafe_b64decode(content))
        if said["expires"] <= self._clock():
            return "the token has expired"
        found = self._backend().repositories.get(repository)
        if found is None:
            return f"there is no repository {repository}"
        return f"its policy keeps {said['key']} out" if _denies(found.policy, said["key"]) else ""

    def _seal(self, content: str) -> str:
        return hmac.new(self._key, content.encode(), hashlib.sha256).hexdigest()


def _denies(policy: str | None, access_key: str) -> bool:
    statements = json.loads(policy).get("Statement", []) if policy else []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        named = principal.get("AWS", []) if isinstance(principal, dict) else principal
        if statement.get("Effect") == "Deny" and access_key in ([named] if isinstance(named, str) else named or []):
            return True
    return False
