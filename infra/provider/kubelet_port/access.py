"""Who asks at the kubelet port, and whether they may: as a kubelet judges it.

Source: "Kubernetes documentation, Kubelet authentication/authorization": client certificates of the cluster's CA,
bearer tokens by TokenReview; what may be done by SubjectAccessReview on the node's subresources.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.provider.kube_client import KubeClient
from kip_conformance.infra.provider.kubelet_port.requests import Request

__all__ = ["Access", "Client", "attributes_of", "client_of"]

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SUBRESOURCES = {"stats": "stats", "metrics": "metrics", "logs": "log", "spec": "spec"}
_ALLOWED_FOR, _DENIED_FOR = 300.0, 30.0
_REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class Client:
    """A name and the groups that go with it."""

    user: str
    groups: tuple[str, ...] = ()


def client_of(certificate: Mapping[str, Any] | None) -> Client | None:
    """The user of a verified client certificate, as ssl describes it: common name and organizations."""
    if not certificate:
        return None
    parts = [pair for part in certificate.get("subject", ()) for pair in part]
    names = [value for key, value in parts if key == "commonName"]
    if not names:
        return None
    return Client(names[0], tuple(value for key, value in parts if key == "organizationName"))


def attributes_of(request: Request, node: str) -> dict[str, str]:
    """What the request means to do, as a SubjectAccessReview asks it."""
    subresource = _SUBRESOURCES.get(request.words[0] if request.words else "", "proxy")
    verb = _VERBS.get(request.method, "get")
    return {"verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource, "name": node}


@dataclass(slots=True)
class Access:
    """Raises what the API client raises when the API server cannot be asked: then nobody may anything."""

    kube: KubeClient
    node: str
    _known: dict[tuple[object, ...], tuple[float, Any]] = field(default_factory=dict)

    async def client(self, certificate: Mapping[str, Any] | None, request: Request) -> Client | None:
        """None: nobody that is known."""
        if (found := client_of(certificate)) is not None:
            return found
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            return None
        known = self._remembered(("token", token))
        if known is None:
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
            answer = await self.kube.create("/apis/authentication.k8s.io/v1/tokenreviews", review)
            status = answer.get("status") or {}
            user = status.get("user") or {}
            known = Client(user["username"], tuple(user.get("groups") or ())) if status.get("authenticated") else False
            self._remember(("token", token), known, _DENIED_FOR)
        return known or None

    async def may(self, client: Client, request: Request) -> bool:
        attributes = attributes_of(request, self.node)
        key = ("may", client, attributes["verb"], attributes["subresource"])
        known = self._remembered(key)
        if known is None:
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {"user": client.user, "groups": list(client.groups), "resourceAttributes": attributes},
            }
            answer = await self.kube.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
            known = bool((answer.get("status") or {}).get("allowed"))
            self._remember(key, known, _ALLOWED_FOR if known else _DENIED_FOR)
        return bool(known)

    def _remembered(self, key: tuple[object, ...]) -> Any:
        until, value = self._known.get(key, (0.0, None))
        return value if asyncio.get_running_loop().time() < until else None

    def _remember(self, key: tuple[object, ...], value: Any, seconds: float) -> None:
        self._known[key] = (asyncio.get_running_loop().time() + seconds, value)
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
