"""The API server, asynchronously and in plain JSON, by kubeconfig or as a pod of the cluster.

What is not here: watching (watching.py) and what the objects mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from kip_conformance.infra.errors import HarnessError, UsageError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.probe.kubeconfig import ApiAccess, load_kubeconfig
from kip_conformance.infra.provider.http import HttpClient

__all__ = ["KubeClient", "Object", "in_cluster", "path_of"]

Object = dict[str, Any]

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_FRESH = 300.0
"""Seconds after which credentials are read again: a pod's token is exchanged while it runs."""

MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"


def path_of(plural: str, name: str = "", namespace: str = "", *, group: str = "") -> str:
    """The path of a collection or an object, such as path_of("pods", "web", "default")."""
    prefix = f"/apis/{group}" if group else "/api/v1"
    middle = f"/namespaces/{quote(namespace)}" if namespace else ""
    return f"{prefix}{middle}/{plural}" + (f"/{quote(name)}" if name else "")


def in_cluster() -> ApiAccess:
    """Access as the ServiceAccount of the pod that this runs in. Raises UsageError outside of one."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise UsageError("no --kubeconfig, and this is no pod of a cluster (no KUBERNETES_SERVICE_HOST)")
    try:
        token = (_ACCOUNT / "token").read_text().strip()
        tls = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{_ACCOUNT}: the pod's ServiceAccount cannot be used: {error}") from error
    return ApiAccess(f"https://{host}:{port}", tls, {"Authorization": f"Bearer {token}"})


@dataclass(slots=True)
class KubeClient:
    """Raises ApiRefusal for an error answer, NoAnswer for none at all."""

    kubeconfig: Path | None
    timeout: float = 10.0
    access: ApiAccess = field(init=False)
    _http: HttpClient | None = field(default=None, init=False)
    _read_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.access = load_kubeconfig(self.kubeconfig) if self.kubeconfig else in_cluster()

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self.access.server

    def _client(self) -> HttpClient:
        now = asyncio.get_running_loop().time()
        if self._http is None or now - self._read_at > _FRESH:
            if self._http is not None:
                # Credentials that cannot be read just now are no reason to stop using those that are known.
                with contextlib.suppress(UsageError, HarnessError):
                    self.access = load_kubeconfig(self.kubeconfig) if self.kubeconfig else in_cluster()
            url = urlsplit(self.access.server)
            port = url.port or (443 if url.scheme == "https" else 80)
            kept, self._http = self._http, HttpClient(
                url.hostname or "", port, self.access.tls, self.access.server_name, dict(self.access.headers)
            )  # fmt: skip
            if kept is not None:
                kept.close()
            self._read_at = now
        return self._http

    def close(self) -> None:
        """Forget the kept connections."""
        if self._http is not None:
            self._http.close()

    async def request(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> bytes:
        """The raw body of a successful answer."""
        headers = {"Accept": "application/json"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), kind
        answer = await self._client().request(method, path, data, headers=headers, timeout=self.timeout)
        if answer.status >= 400:
            raise refusal(f"{method} {path}", answer.status, answer.body)
        return answer.body

    async def get(self, path: str) -> Object:
        found: Object = json.loads(await self.request("GET", path))
        return found

    async def find(self, path: str) -> Object | None:
        """The object, or None when there is none."""
        try:
            return await self.get(path)
        except ApiRefusal as error:
            if error.status == 404:
                return None
            raise

    async def create(self, path: str, manifest: Mapping[str, Any]) -> Object:
        made: Object = json.loads(await self.request("POST", path, manifest))
        return made

    async def replace(self, path: str, manifest: Mapping[str, Any]) -> Object:
        made: Object = json.loads(await self.request("PUT", path, manifest))
        return made

    async def patch(self, path: str, change: Mapping[str, Any], *, kind: str = MERGE) -> Object:
        made: Object = json.loads(await self.request("PATCH", path, change, kind=kind))
        return made

    async def delete(self, path: str, options: Mapping[str, Any] | None = None) -> None:
        """What is not there any more, or is another by now (a precondition in `options`), is no error."""
        try:
            await self.request("DELETE", path, options)
        except ApiRefusal as error:
            if error.status not in (404, 409):
                raise

    @contextlib.asynccontextmanager
    async def lines(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer that goes on, such as a watch."""
        async with self._client().stream("GET", path, headers={"Accept": "application/json"}) as stream:
            if stream.status >= 400:
                raise refusal(f"GET {path}", stream.status, await stream.body.all())
            yield _lines(stream.body.pieces())


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = bytearray()
    async for piece in pieces:
        rest += piece
        while (end := rest.find(b"\n")) >= 0:
            line = bytes(rest[:end])
            del rest[: end + 1]
            if line.strip():
                yield line


def refusal(what: str, status: int, body: bytes) -> ApiRefusal:
    try:
        said = json.loads(body)
        return ApiRefusal(what, status, said.get("reason", ""), said.get("message", ""))
    except (ValueError, AttributeError):
        return ApiRefusal(what, status, "", body.decode(errors="replace")[:200])
