"""From a request to streams: the upgrade to SPDY/3.1, or to a websocket that carries it.

An API server passes on what its client speaks: kubectl's websocket to a node that declares the feature
ExtendWebSocketsToKubelet, SPDY to every other and for older clients. Source: KEP-4006 "Transition from SPDY to
WebSockets".
"""

from __future__ import annotations

from collections.abc import Sequence

from kip_conformance.infra.cell.problems import Refused
from kip_conformance.infra.cell.websocket import handshake
from kip_conformance.infra.provider.kubelet_port.byte_ways import ByteWay, Plain, Tunnelled
from kip_conformance.infra.provider.kubelet_port.requests import Exchange, Request

__all__ = ["accept_spdy", "wants_spdy"]

_SPDY = "SPDY/3.1"
_TUNNEL = f"{_SPDY}+"


def wants_spdy(request: Request) -> bool:
    """By itself, or within a websocket."""
    if request.upgrade == "websocket":
        return _TUNNEL in request.headers.get("sec-websocket-protocol", "")
    return request.upgrade == _SPDY.lower()


async def accept_spdy(exchange: Exchange, spoken: Sequence[str]) -> ByteWay | None:
    """Answer the upgrade with the first of `spoken` that the client offers; None when it was refused instead."""
    request = exchange.request
    plain = Plain(exchange.reader, exchange.writer)
    if request.upgrade == "websocket":
        try:
            _, answer = handshake(request.headers, [_TUNNEL + one for one in spoken])
        except Refused as error:
            await exchange.answer(error.status, str(error))
            return None
        exchange.can_go_on = False
        await plain.write(answer)
        return Tunnelled(plain)
    offered = [one.strip() for one in request.headers.get("x-stream-protocol-version", "").split(",")]
    chosen = next((one for one in spoken if one in offered), None)
    if chosen is None:
        await exchange.answer(403, f"X-Stream-Protocol-Version: {', '.join(offered)}: here are {', '.join(spoken)}")
        return None
    exchange.can_go_on = False
    lines = ("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {_SPDY}")
    await plain.write("\r\n".join((*lines, f"X-Stream-Protocol-Version: {chosen}", "", "")).encode())
    return plain
