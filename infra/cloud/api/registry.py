"""Tokens for the container registry: ECR's GetAuthorizationToken, and what the front of the registry asks.

A token is user AWS and a password that says account, access key and expiry, sealed with a key of this cloud's folder.
The front sends what it got in its client's Basic credentials (for_machines.py), anybody else may ask by
`/_kip/registry?repository=NAME`. The repository must exist, and its policy may keep the access key out: a statement
with Effect Deny whose Principal is the access key. The operator sets how long new tokens are valid, and which
repositories the holder of an access key may use, in place of permissions of IAM, which are not judged.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kip_conformance.infra.cloud.api.ec2 import Answer
from kip_conformance.infra.cloud.api.settings import Settings

__all__ = ["LIFETIME", "Refused", "Registry"]

LIFETIME = 12 * 3600.0


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a registry's client may not: HTTP status, and code and message as the registry's errors have them."""

    status: int
    code: str
    message: str


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
        self.lifetime = LIFETIME
        self._only: dict[str, tuple[str, ...]] = {}

    def limit(self, lifetime: float, only: Mapping[str, Sequence[str]]) -> None:
        """From now on tokens are valid for `lifetime` seconds, and access keys in `only` open these repositories alone.

        Their names may be patterns (`team/*`). Raises ValueError or TypeError for what is no such thing.
        """
        if isinstance(lifetime, bool) or not 0 <= float(lifetime) <= LIFETIME:
            raise ValueError(f"a token is valid for 0 to {LIFETIME:.0f} seconds, not {lifetime}")
        if not all(isinstance(names, list) and all(isinstance(one, str) for one in names) for names in only.values()):
            raise ValueError("only: a list of repositories for each access key")
        self.lifetime, self._only = float(lifetime), {key: tuple(names) for key, names in only.items()}

    def authorization_token(self, access_key: str) -> Answer:
        """The answer to GetAuthorizationToken."""
        expires = self._clock() + self.lifetime
        said = json.dumps({"account": self._settings.account, "key": access_key, "expires": expires})
        content = base64.urlsafe_b64encode(said.encode()).decode()
        token = base64.b64encode(f"AWS:{content}.{self._seal(content)}".encode()).decode()
        host = f"https://{self._settings.account}.dkr.ecr.{self._settings.region}.amazonaws.com"
        data = {"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": host}
        body = json.dumps({"authorizationData": [data]}).encode()
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, body

    def refusal(self, password: str, repository: str) -> str:
        """Why a password does not open a repository; empty when it does."""
        refused = self.judge(password, repository)
        return refused.message if refused else ""

    def judge(self, password: str | None, repository: str) -> Refused | None:
        """Whether a password, None when there was none, opens a repository; "" asks for the registry itself."""
        content, _, seal = (password or "").partition(".")
        if not seal.isascii() or not hmac.compare_digest(seal, self._seal(content)):
            return Refused(401, "UNAUTHORIZED", "the credentials are not of this registry")
        said = json.loads(base64.urlsafe_b64decode(content))
        if said["expires"] <= self._clock():
            return Refused(403, "DENIED", "the token has expired: get a new one")
        return self._judge_key(said["key"], repository) if repository else None

    def _judge_key(self, key: str, repository: str) -> Refused | None:
        only = self._only.get(key)
        if only is not None and not any(fnmatchcase(repository, one) for one in only):
            return Refused(403, "DENIED", f"access key {key} may not use the repository {repository}")
        found = self._backend().repositories.get(repository)
        if found is None:
            return Refused(404, "NAME_UNKNOWN", f"there is no repository {repository}")
        is_kept_out = _denies(found.policy, key)
        return Refused(403, "DENIED", f"the policy of {repository} keeps {key} out") if is_kept_out else None

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
