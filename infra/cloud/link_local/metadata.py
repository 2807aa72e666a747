"""The instance metadata service as its listener answers it: versions 1 and 2, tokens, refusals, hop limit.

Facts are from the Amazon EC2 User Guide, "Use the Instance Metadata Service to access instance metadata": a PUT for a
token names its life, 1 to 21600 seconds; a token is good on its own instance only; a PUT with X-Forwarded-For is
refused; the answer to a PUT has the instance's own hop limit. 400, 401, 403 and 404 are as documented there.
Throttling (packets per second) is not simulated.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import socket
import struct
import time
from collections.abc import Callable
from http import HTTPStatus

from kip_conformance.infra.cloud.facts import InstanceFacts
from kip_conformance.infra.cloud.link_local import http
from kip_conformance.infra.cloud.link_local.connection import LimitedConnection
from kip_conformance.infra.cloud.link_local.metadata_tree import find, tree

__all__ = ["Connection", "Tokens", "respond"]

TOKEN_PATH = "/latest/api/token"
_TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_HEADER = "x-aws-ec2-metadata-token"
_LONGEST_TTL = 21600
_IDLE = 30.0
"""Seconds that a connection may be silent, or take over one request."""
_MOST_AT_ONCE = 16
"""Requests that a client may send ahead of their answers, in one piece."""


class Tokens:
    """Session tokens of all instances: an expiry, signed for one instance, so that nothing is stored.

    `clock` gives seconds and never runs backwards. A new process refuses the tokens of the one before it: clients
    then ask for another, as they do when one has run out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def issue(self, instance_id: str, seconds: int) -> str:
        expiry = struct.pack(">d", self._clock() + seconds)
        return base64.urlsafe_b64encode(expiry + self._signature(instance_id, expiry)).decode()

    def is_valid(self, instance_id: str, token: str) -> bool:
        try:
            said = base64.b64decode(token, altchars=b"-_", validate=True)
        except ValueError:
            return False
        expiry, signature = said[:8], said[8:]
        if not hmac.compare_digest(signature, self._signature(instance_id, expiry)):
            return False
        return self._clock() < float(struct.unpack(">d", expiry)[0])

    def _signature(self, instance_id: str, expiry: bytes) -> bytes:
        return hmac.new(self._key, instance_id.encode() + expiry, hashlib.sha256).digest()


def respond(facts: InstanceFacts, tokens: Tokens, request: http.Request) -> bytes:
    """The answer to one request of the instance that `facts` are about."""
    if not facts.options.is_enabled:
        return _refusal(HTTPStatus.FORBIDDEN, request)
    if request.method == "PUT":
        return _token(facts, tokens, request)
    if request.method not in ("GET", "HEAD"):
        return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, request, {"Allow": "OPTIONS, GET, HEAD, PUT"})
    token = request.headers.get(_TOKEN_HEADER)
    if facts.options.requires_token if token is None else not tokens.is_valid(facts.instance_id, token):
        return _refusal(HTTPStatus.UNAUTHORIZED, request)
    found = find(tree(facts), request.path)
    if found is None:
        return _refusal(HTTPStatus.NOT_FOUND, request)
    kind = "application/octet-stream" if request.path.rstrip("/").endswith("/user-data") else "text/plain"
    return http.answer(
        HTTPStatus.OK,
        found,
        {"Content-Type": kind},
        keeps_alive=request.keeps_alive,
        has_body=request.method != "HEAD",
    )


def _token(facts: InstanceFacts, tokens: Tokens, request: http.Request) -> bytes:
    if request.path != TOKEN_PATH:
        return _refusal(HTTPStatus.NOT_FOUND, request)
    if "x-forwarded-for" in request.headers:
        return _refusal(HTTPStatus.FORBIDDEN, request)
    text = request.headers.get(_TTL_HEADER, "")
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 1 <= int(text) <= _LONGEST_TTL:
        return _refusal(HTTPStatus.BAD_REQUEST, request)
    token = tokens.issue(facts.instance_id, int(text))
    headers = {"Content-Type": "text/plain", _TTL_HEADER: text}
    return http.answer(HTTPStatus.OK, token.encode(), headers, keeps_alive=request.keeps_alive)


def _refusal(status: HTTPStatus, request: http.Request, headers: dict[str, str] | None = None) -> bytes:
    return http.answer(
        status,
        f"{status.value} - {status.phrase}\n".encode(),
        {"Content-Type": "text/plain", **(headers or {})},
        keeps_alive=request.keeps_alive,
        has_body=request.method != "HEAD",
    )


class Connection(LimitedConnection):
    """One connection of a client. `facts` gives those of the moment; `open_ones` has all connections of a listener."""

    def __init__(self, facts: Callable[[], InstanceFacts], tokens: Tokens, open_ones: set[Connection]) -> None:
        super().__init__(open_ones, _IDLE)
        self._facts, self._tokens = facts, tokens
        self._reader = http.RequestReader()

    def _opened(self, transport: asyncio.Transport) -> None:
        # An answer that the hop limit lets die is never acknowledged: give up on it while the lab still stands.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_IDLE * 1000))

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            requests = self._reader.feed(data)
            if len(requests) > _MOST_AT_ONCE:
                raise http.BadRequest(HTTPStatus.BAD_REQUEST)
        except http.BadRequest as refusal:
            said = f"{refusal.status.value} - {refusal.status.phrase}\n".encode()
            self._transport.write(http.answer(refusal.status, said, {"Content-Type": "text/plain"}, keeps_alive=False))
            self._transport.close()
            return
        for request in requests:
            facts = self._facts()
            if request.method == "PUT":
                # Kept for the rest of the connection: its later answers go the same way as this one did, and raising
                # the limit again could carry a copy of this one beyond it.
                connection = self._transport.get_extra_info("socket")
                connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, facts.options.hop_limit)
            self._transport.write(respond(facts, self._tokens, request))
            if not request.keeps_alive:
                self._transport.close()
                return
        if requests:
            self._wait()
