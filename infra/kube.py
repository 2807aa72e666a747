"""Talking to an API server in plain JSON, over the Kubernetes client's connection and credentials.

The generated classes of the client cost seconds of imports and hide what is on the wire; objects here are the
dictionaries of the API reference. Exec streams are not here: see infra/probe.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kip_conformance.infra.errors import HarnessError

__all__ = ["ApiRefusal", "KubeApi", "collection_path", "object_path"]

Object = dict[str, Any]

_PLURALS = {
    "Namespace": ("api/v1", "namespaces", False),
    "Node": ("api/v1", "nodes", False),
    "Pod": ("api/v1", "pods", True),
    "Service": ("api/v1", "services", True),
    "ServiceAccount": ("api/v1", "serviceaccounts", True),
    "ConfigMap": ("api/v1", "configmaps", True),
    "Secret": ("api/v1", "secrets", True),
    "Endpoints": ("api/v1", "endpoints", True),
    "EndpointSlice": ("apis/discovery.k8s.io/v1", "endpointslices", True),
    "Event": ("api/v1", "events", True),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies", True),
    "ServiceCIDR": ("apis/networking.k8s.io/v1", "servicecidrs", False),
    "Deployment": ("apis/apps/v1", "deployments", True),
    "DaemonSet": ("apis/apps/v1", "daemonsets", True),
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "Role": ("apis/rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
}


class ApiRefusal(HarnessError):
    """The API server answered with an error; `status` is the HTTP code, `reason` the Status object's."""

    def __init__(self, what: str, status: int, reason: str, message: str) -> None:
        super().__init__(f"{what}: the API server answered {status} {reason}: {message}")
        self.status = status
        self.reason = reason


def collection_path(kind: str, namespace: str | None = None) -> str:
    """The path of all objects of a kind, in a namespace or everywhere. Raises KeyError for an unknown kind."""
    prefix, plural, namespaced = _PLURALS[kind]
    middle = f"namespaces/{quote(namespace)}/" if namespaced and namespace else ""
    return f"/{prefix}/{middle}{plural}"


def object_path(kind: str, name: str, namespace: str | None = None) -> str:
    return f"{collection_path(kind, namespace)}/{quote(name)}"


class KubeApi:
    """One API server by kubeconfig. Thread-safe; connections are pooled; each request ends within `timeout` seconds."""

    def __init__(self, kubeconfig: Path, *, timeout: float = 10.0) -> None:
        self.kubeconfig = kubeconfig
        self.timeout = timeout
        self._client: Any = None
        self._lock = threading.Lock()

    def load(self) -> None:
        """Import the client and read the kubeconfig now, so that the first request need not."""
        with self._lock:
            if self._client is None:
                from kubernetes import client, config

                settings = client.Configuration()
                settings.retries = False
                config.load_kube_config(str(self.kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call]
                settings.proxy = None
                self._client = client.ApiClient(settings)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        timeout: float | None = None,
    ) -> bytes:
        """The raw body of a successful answer. Raises ApiRefusal for an error answer, HarnessError for none at all."""
        self.load()
        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            response = self._client.call_api(
                method,
                self._client.configuration.host + path,
                header_params=headers,
                body=body,
                _request_timeout=timeout or self.timeout,
            )
            data = response.read() or b""
        except Exception as error:
            status = getattr(error, "status", None)
            if isinstance(status, int) and status:
                raise _refusal(f"{method} {path}", status, getattr(error, "body", b"")) from error
            raise HarnessError(f"{method} {path}: no answer from the API server: {_first_line(error)}") from error
        if response.status >= 400:
            raise _refusal(f"{method} {path}", response.status, data)
        return bytes(data)

    def get(self, path: str) -> Object:
        answer: Object = json.loads(self.request("GET", path))
        return answer

    def find(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None when there is none."""
        try:
            return self.get(object_path(kind, name, namespace))
        except ApiRefusal as refusal:
            if refusal.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None, *, labels: Mapping[str, str] | None = None) -> list[Object]:
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        query = f"?labelSelector={quote(selector)}" if selector else ""
        items: list[Object] = self.get(collection_path(kind, namespace) + query)["items"]
        return items

    def create(self, manifest: Object) -> Object:
        """Create an object; its kind and namespace come from the manifest."""
        path = collection_path(manifest["kind"], manifest["metadata"].get("namespace"))
        answer: Object = json.loads(self.request("POST", path, manifest))
        return answer

    def apply(self, manifest: Object, *, manager: str = "kip-conformance") -> Object:
        """Server-side apply: create the object or make it as the manifest says."""
        metadata = manifest["metadata"]
        path = object_path(manifest["kind"], metadata["name"], metadata.get("namespace"))
        answer = self.request(
            "PATCH",
            f"{path}?fieldManager={manager}&force=true",
            manifest,
            content_type="application/apply-patch+yaml",
        )
        applied: Object = json.loads(answer)
        return applied

    def apply_all(self, manifests: Iterable[Object]) -> None:
        for manifest in manifests:
            self.apply(manifest)

    def patch(
        self, kind: str, name: str, change: Object, namespace: str | None = None, *, subresource: str = ""
    ) -> Object:
        """JSON merge patch (RFC 7386)."""
        path = object_path(kind, name, namespace) + (f"/{subresource}" if subresource else "")
        answer: Object = json.loads(self.request("PATCH", path, change, content_type="application/merge-patch+json"))
        return answer

    def delete(self, kind: str, name: str, namespace: str | None = None, *, grace: int | None = None) -> None:
        """Delete; an object that is not there is no error. `grace` is seconds."""
        query = f"?gracePeriodSeconds={grace}" if grace is not None else ""
        try:
            self.request("DELETE", object_path(kind, name, namespace) + query)
        except ApiRefusal as refusal:
            if refusal.status != 404:
                raise

    def is_ready(self) -> bool:
        """Whether the server says it is ready, at once."""
        try:
            return self.request("GET", "/readyz", timeout=2.0) == b"ok"
        except HarnessError:
            return False


def _refusal(what: str, status: int, body: bytes | str | None) -> ApiRefusal:
    try:
        said = json.loads(body or b"")
        return ApiRefusal(what, status, said.get("reason", ""), said.get("message", ""))
    except (ValueError, AttributeError):
        return ApiRefusal(
            what, status, "", (body.decode(errors="replace") if isinstance(body, bytes) else body or "")[:200]
        )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
