"""A websocket to a subresource of a pod that streams: exec, attach, port-forward. What it carries is its user's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

from kip_conformance.infra.probe.channel import ChannelLost
from kip_conformance.infra.probe.kubeconfig import ApiAccess
from kip_conformance.infra.targets.protocol import PodRef
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

__all__ = ["connect_to_pod", "named"]


async def connect_to_pod(
    access: ApiAccess,
    pod: PodRef,
    verb: str,
    query: Sequence[tuple[str, str]],
    subprotocols: Sequence[Subprotocol],
    *,
    timeout: float,
) -> ClientConnection:
    """Open the websocket of `verb` (exec, attach, portforward). Raises ChannelLost with the server's own words."""
    url = f"{access.server}/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/{verb}?{urlencode(query)}"
    is_local = urlsplit(access.server).hostname in ("127.0.0.1", "::1", "localhost")
    try:
        return await connect(
            "ws" + url.removeprefix("http"),
            ssl=access.tls,
            server_hostname=access.server_name if access.tls else None,
            additional_headers=access.headers,
            subprotocols=subprotocols,
            compression=None,
            max_size=None,
            max_queue=None,  # a paused reader would starve the stream; the queue is bounded by what was asked for
            open_timeout=timeout,
            close_timeout=1,
            ping_interval=None,  # a held conversation has heartbeats of its own, which notice a stopped prober too
            proxy=None if is_local else True,
        )
    except InvalidStatus as error:
        raise ChannelLost(f"{verb} into {named(pod)} was refused: {_reason(error)}") from error
    except (OSError, WebSocketException, TimeoutError) as error:
        why = str(error) or type(error).__name__
        raise ChannelLost(f"{verb} into {named(pod)} through {access.server} failed: {why}") from error


def named(pod: PodRef) -> str:
    return f"{pod.namespace}/{pod.name}"


def _reason(error: InvalidStatus) -> str:
    body = bytes(error.response.body or b"")
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = body.decode("utf-8", "replace").strip()[:300]
    return f"HTTP {error.response.status_code} {message}".strip()
