"""Pull secrets: which of them are for an image, and the file that skopeo reads them from.

A key of a secret is a registry's host, a host with a path, or a host with `*` in it (Kubernetes documentation, Images,
"Interpretation of config.json").
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from kip_conformance.infra.cell.references import Reference

__all__ = ["auth_file", "matching"]


def matching(secrets: Sequence[Mapping[str, Any]], image: Reference) -> list[dict[str, str]]:
    """What to log in with, best first: longer keys before shorter ones, in the order of the secrets."""
    found: list[tuple[int, dict[str, str]]] = []
    for secret in secrets:
        auths = secret.get("auths", secret)
        for key, value in auths.items() if isinstance(auths, dict) else ():
            host, _, path = _without_scheme(str(key)).partition("/")
            if isinstance(value, dict) and _host_matches(host, image.host) and _path_matches(path, image.repository):
                login = _login(value)
                if login:
                    found.append((len(host) + len(path), login))
    return [login for _, login in sorted(found, key=lambda one: -one[0])]


def auth_file(image: Reference, login: Mapping[str, str]) -> str:
    """The text of an authfile for this image alone (containers-auth.json)."""
    return json.dumps({"auths": {image.host: dict(login)}})


def _without_scheme(key: str) -> str:
    for scheme in ("https://", "http://"):
        key = key.removeprefix(scheme)
    key = key.rstrip("/")
    for old in ("/v1", "/v2"):
        key = key.removesuffix(old)
    return "docker.io" if key in ("index.docker.io", "registry-1.docker.io") else key


def _host_matches(pattern: str, host: str) -> bool:
    wanted, given = pattern.split("."), host.split(".")
    return len(wanted) == len(given) and all(map(_part_matches, given, wanted))


def _part_matches(part: str, pattern: str) -> bool:
    return fnmatchcase(part, pattern) if "*" in pattern or "?" in pattern else part == pattern


def _path_matches(path: str, repository: str) -> bool:
    path = path.strip("/")
    return not path or repository == path or repository.startswith(f"{path}/")


def _login(value: Mapping[str, Any]) -> dict[str, str]:
    if value.get("auth"):
        return {"auth": str(value["auth"])}
    if value.get("username"):
        pair = f"{value['username']}:{value.get('password', '')}"
        return {"auth": base64.b64encode(pair.encode()).decode()}
    if value.get("identitytoken"):
        return {"identitytoken": str(value["identitytoken"])}
    return {}
