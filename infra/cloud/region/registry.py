"""The region's container registry: a docker-registry behind ECR's names, credentials and addresses of layers.

Sources: Amazon ECR User Guide, "Private registry authentication" (user AWS with a token of the API; Basic) and
"Amazon ECR interface VPC endpoints" (layers are in a bucket of S3, prod-REGION-starport-layer-bucket: a client that
reaches the registry and not S3 gets manifests and no layers). Who may use which repository says the API.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode

from kip_conformance.infra.cloud.region import relay

__all__ = ["Backing", "Registry", "layer_bucket"]

_PATH = re.compile(r"/v2/(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)/(?P<kind>manifests|blobs|tags)/(?P<rest>.+)")
_LAYER = re.compile(r"/(?P<name>[a-z0-9._/-]+)/(?P<digest>sha256:[0-9a-f]{64})")
_VALID = 3600
"""Seconds that the address of a layer is good for."""
_START = 20.0


def layer_bucket(region: str) -> str:
    """The bucket in which ECR has the layers of a region's images."""
    return f"prod-{region}-starport-layer-bucket"


@dataclass(slots=True)
class Backing:
    """The docker-registry `program` itself, started when it is first needed; `folder` has its files and its socket."""

    program: str
    folder: Path
    _process: asyncio.subprocess.Process | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def socket(self) -> str:
        return str(self.folder / "s")

    async def start(self) -> None:
        """Until it answers. Raises OSError with the reason when it does not."""
        async with self._lock:
            if self._process is not None and self._process.returncode is None:
                return
            if not self.program:
                raise OSError(0, "this cloud was started without a program for its registry")
            self.folder.mkdir(parents=True, exist_ok=True)
            Path(self.socket).unlink(missing_ok=True)
            config = self.folder / "config.json"
            config.write_text(json.dumps(self._configuration()))
            # It must not outlive this process: the next one would find its socket and its files in use.
            argv = ["setpriv", "--pdeathsig", "KILL", self.program, "serve", str(config)]
            self._process = await asyncio.create_subprocess_exec(*argv)
            await self._until_it_answers()

    async def _until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_unix_connection(self.socket)
                writer.close()
                return
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise OSError(0, f"the registry {self.program} does not start")
            await asyncio.sleep(0.01)

    def _configuration(self) -> dict[str, object]:
        return {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "images")},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {"net": "unix", "addr": self.socket, "secret": secrets.token_hex(16)},
        }


@dataclass(slots=True)
class Registry:
    """Decides on requests to the registry's address and to its bucket. `api` is the API's socket for machines."""

    api: str
    region: str
    account: str
    backing: Backing
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def host(self) -> str:
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com"

    async def at_registry(self, head: relay.Head) -> relay.Answer | relay.Onward:
        """A request to ACCOUNT.dkr.ecr.REGION.amazonaws.com."""
        found = _PATH.fullmatch(head.path)
        if head.path not in ("/v2", "/v2/") and found is None:
            return relay.errors(404, "UNSUPPORTED", "this is no path of the registry")
        name = found["name"] if found else ""
        if refusal := await self._refusal(head, name):
            return refusal
        if found is None:
            return relay.Answer(200, (("Docker-Distribution-Api-Version", "registry/2.0"),), b"{}")
        try:
            await self.backing.start()
        except OSError as error:
            return relay.problem(503, str(error.strerror))
        if head.words[0] == "GET" and found["kind"] == "blobs" and found["rest"].startswith("sha256:"):
            return await self._to_layer(head, name, found["rest"])
        # A layer of another repository would be mounted from there, whoever may read it.
        query = {key: value for key, value in parse_qs(head.query).items() if key not in ("mount", "from")}
        target = head.path + (f"?{urlencode(query, doseq=True)}" if query else "")
        return self._onward(target, head.get("host") or self.host)

    async def at_bucket(self, head: relay.Head) -> relay.Answer | relay.Onward:
        """A request to the bucket of layers: what `_to_layer` signed, and nothing else."""
        found, asked = _LAYER.fullmatch(head.path), parse_qs(head.query)
        until, seal = (asked.get(name, [""])[0] for name in ("X-Amz-Date", "X-Amz-Signature"))
        if found is None or head.words[0] not in ("GET", "HEAD"):
            return relay.problem(403, "AccessDenied")
        if not hmac.compare_digest(seal.encode(), self._seal(head.path, until).encode()):
            return relay.problem(403, "SignatureDoesNotMatch")
        if float(until) < time.time():
            return relay.problem(403, "AccessDenied: Request has expired")
        try:
            await self.backing.start()
        except OSError as error:
            return relay.problem(503, str(error.strerror))
        return self._onward(f"/v2/{found['name']}/blobs/{found['digest']}", self.host)

    async def _refusal(self, head: relay.Head, name: str) -> relay.Answer | None:
        headers = [("X-Kip-Service", "registry")]
        if given := head.get("authorization"):
            headers.append(("Authorization", given))
        try:
            said = await relay.ask(self.api, "GET", f"/?{urlencode({'repository': name})}", headers)
        except (OSError, relay.BadMessage, asyncio.IncompleteReadError) as error:
            return relay.problem(503, f"the API is away: {error}")
        if said.status == 200:
            return None
        challenge = ("WWW-Authenticate", f'Basic realm="https://{self.host}/",service="ecr.amazonaws.com"')
        kind = ("Content-Type", "application/json")
        return relay.Answer(said.status, (kind, challenge) if said.status == 401 else (kind,), said.body)

    async def _to_layer(self, head: relay.Head, name: str, digest: str) -> relay.Answer:
        """Where the bytes are: in S3."""
        path = f"/v2/{name}/blobs/{digest}"
        there = await relay.ask(self.backing.socket, "HEAD", path, [])
        if there.status != 200:
            return relay.errors(404, "BLOB_UNKNOWN", f"there is no {digest} in {name}")
        until = f"{time.time() + _VALID:.0f}"
        target = f"/{name}/{digest}"
        query = urlencode({"X-Amz-Date": until, "X-Amz-Signature": self._seal(target, until)})
        where = f"https://{layer_bucket(self.region)}.s3.{self.region}.amazonaws.com{target}?{query}"
        return relay.Answer(307, (("Location", where), ("Content-Type", "text/plain")))

    def _onward(self, target: str, host: str) -> relay.Onward:
        headers = (("Host", host), ("X-Forwarded-Proto", "https"))
        replaced = frozenset(("authorization", "host", "x-forwarded-proto", "x-forwarded-host", "forwarded"))
        return relay.Onward(self.backing.socket, target, headers, replaced)

    def _seal(self, path: str, until: str) -> str:
        return hmac.new(self.key, f"{path} {until}".encode(), hashlib.sha256).hexdigest()
