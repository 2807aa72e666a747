"""The server at the kubelet port: TLS, a client that is known and may, and what it asks for.

Paths as a kubelet has them: /containerLogs, /exec, /attach, /portForward, /pods, /healthz.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

from kip_conformance.infra.errors import KipError, UsageError
from kip_conformance.infra.provider.agent_client import AgentClient
from kip_conformance.infra.provider.http import NoAnswer
from kip_conformance.infra.provider.kubelet_port import forwarding, remote_command
from kip_conformance.infra.provider.kubelet_port.access import Access
from kip_conformance.infra.provider.kubelet_port.passing import pass_through
from kip_conformance.infra.provider.kubelet_port.requests import Exchange, read_request
from kip_conformance.infra.provider.kubelet_port.upgrades import accept_spdy, wants_spdy
from kip_conformance.infra.provider.pods import Pods
from kip_conformance.infra.provider.worker import PodWorker

__all__ = ["KubeletPort", "serving_tls"]

_LOG = logging.getLogger(__name__)
_LOG_OPTIONS = (
    "follow",
    "tailLines",
    "previous",
    "sinceTime",
    "sinceSeconds",
    "timestamps",
    "limitBytes",
    "stream",
)
_STREAMING = {"exec": 4, "attach": 4, "portForward": 3}
"""How many words a path has: verb, namespace, pod, and for the first two the container. Kubelet knows a uid before the
container, too."""


def serving_tls(certificate: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """TLS 1.2 and newer; clients show a certificate of `client_ca` or, later, a token. Raises UsageError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    what = certificate
    try:
        context.load_cert_chain(certificate, key)
        what = client_ca
        context.load_verify_locations(client_ca)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{what}: cannot be used for the kubelet port: {error}") from error
    return context


@dataclass(slots=True)
class KubeletPort:
    """Serves the pods of one node."""

    pods: Pods
    access: Access
    tls: ssl.SSLContext
    address: str
    port: int
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def run(self) -> None:
        """Raises UsageError when the port cannot be had."""
        try:
            server = await asyncio.start_server(self._accepted, self.address, self.port, ssl=self.tls, limit=1 << 20)
        except OSError as error:
            raise UsageError(f"kubelet port {self.address}:{self.port}: {error.strerror or error}") from error
        async with server:
            try:
                await server.serve_forever()
            finally:
                for writer in list(self._open):
                    writer.transport.abort()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            going_on = True
            while going_on:
                exchange = Exchange(await read_request(reader), reader, writer)
                await self._answer(exchange)
                going_on = exchange.can_go_on
        except (NoAnswer, OSError):
            pass
        except Exception:
            _LOG.exception("kubelet port")
        finally:
            self._open.discard(writer)
            with contextlib.suppress(OSError):
                writer.close()

    async def _answer(self, exchange: Exchange) -> None:
        request = exchange.request
        try:
            client = await self.access.client(exchange.writer.get_extra_info("peercert"), request)
            if client is None:
                await exchange.answer(401, "Unauthorized")
                return
            if not await self.access.may(client, request):
                await exchange.answer(403, f"Forbidden (user={client.user}, path=/{'/'.join(request.words)})")
                return
        except KipError as error:
            await exchange.answer(500, f"it could not be found out whether this is allowed: {error}")
            return
        verb = request.words[0] if request.words else ""
        if verb in _STREAMING:
            await self._stream(exchange, verb)
        elif request.method not in ("GET", "HEAD"):
            await exchange.answer(405, "405 method not allowed")
        elif verb == "healthz":
            await exchange.answer(200, "ok")
        elif verb in ("pods", "runningpods"):
            items = [worker.pod for worker in self.pods.workers.values()]
            await exchange.answer_json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
        elif verb == "containerLogs" and len(request.words) == 4:
            await self._logs(exchange)
        else:
            await exchange.answer(404, "404 page not found")

    async def _logs(self, exchange: Exchange) -> None:
        _, namespace, name, container = exchange.request.words
        worker = self.pods.find(namespace, name)
        if worker is None:
            await exchange.answer(404, f'pod "{name}" not found in namespace "{namespace}"')
            return
        if not _has_container(worker, container):
            await exchange.answer(404, f'container "{container}" not found in pod "{name}"')
            return
        if (kept := worker.kept_logs.get(container)) is not None:
            await exchange.answer(200, kept, "text/plain")
            return
        agent = _agent_of(worker)
        if agent is None:
            await exchange.answer(
                400, f'container "{container}" in pod "{name}" is waiting to start: {_reason(worker)}'
            )
            return
        options = [(key, value) for key, value in exchange.request.query if key in _LOG_OPTIONS]
        try:
            async with agent.http.stream("GET", f"/v1/logs/{quote(container)}?{urlencode(options)}") as stream:
                if stream.status >= 400:
                    await exchange.answer(stream.status, await stream.body.all(limit=1 << 16))
                else:
                    await exchange.stream(stream.body.pieces())
        except NoAnswer as error:
            exchange.can_go_on = False
            _LOG.info("logs of %s/%s: %s", namespace, name, error)
        finally:
            agent.close()

    async def _stream(self, exchange: Exchange, verb: str) -> None:
        request = exchange.request
        if len(request.words) not in (_STREAMING[verb], _STREAMING[verb] + 1):
            await exchange.answer(404, "404 page not found")
            return
        if request.upgrade != "websocket" and not wants_spdy(request):
            await exchange.answer(
                400, f"{verb}: an upgrade to websocket or SPDY/3.1 is needed, not {request.upgrade or 'plain HTTP'}"
            )
            return
        worker = self.pods.find(request.words[1], request.words[2])
        if worker is None:
            await exchange.answer(404, f'pod "{request.words[2]}" does not exist')
            return
        if verb != "portForward" and not _has_container(worker, request.words[-1]):
            await exchange.answer(404, f'container "{request.words[-1]}" not found in pod "{request.words[2]}"')
            return
        agent = _agent_of(worker)
        if agent is None:
            await exchange.answer(503, f'pod "{request.words[2]}" has no cell: {_reason(worker)}')
            return
        try:
            if wants_spdy(request):
                await _speak_spdy(exchange, agent)
            else:
                await pass_through(exchange, agent)
        except NoAnswer as error:
            if exchange.can_go_on:  # nothing has been answered
                await exchange.answer(502, f"the cell does not answer: {error}")


async def _speak_spdy(exchange: Exchange, agent: AgentClient) -> None:
    """Agents do not: their own websocket is spoken to them. Raises NoAnswer when the client goes before it begins."""
    forwards = exchange.request.words[0] == "portForward"
    way = await accept_spdy(exchange, forwarding.PROTOCOLS if forwards else remote_command.PROTOCOLS)
    if way is None:
        return
    if forwards:
        await forwarding.forward_ports(way, agent)
    else:
        await remote_command.run_command(way, agent, exchange.request)


def _has_container(worker: PodWorker, name: str) -> bool:
    spec = worker.pod["spec"]
    return any(one["name"] == name for one in [*(spec.get("initContainers") or []), *spec["containers"]])


def _agent_of(worker: PodWorker) -> AgentClient | None:
    """A client of one's own for the pod's agent; None when there is no cell that was given the pod."""
    following = worker.following
    if following is None or not following.deployed.is_set():
        return None
    by, cell = worker.by, following.cell
    return AgentClient(by.address_of(cell), cell.primary, by.agent_tls)


def _reason(worker: PodWorker) -> str:
    for one in (worker.pod.get("status") or {}).get("containerStatuses") or []:
        if reason := one.get("state", {}).get("waiting", {}).get("reason"):
            return str(reason)
    return "ContainerCreating"
