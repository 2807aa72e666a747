"""The services of one network interface: the sockets in its namespace, and what answers behind them.

Metadata at 169.254.169.254 port 80, the resolver at 169.254.169.253 and at base plus two of the VPC port 53, UDP and
TCP, time at 169.254.169.123 port 123.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from kip_conformance.infra.cloud.facts import InstanceFacts
from kip_conformance.infra.cloud.link_local import clock, metadata, sockets
from kip_conformance.infra.cloud.link_local.dns_server import Answerer, OverTcp, OverUdp
from kip_conformance.infra.cloud.link_local.names import NameTable
from kip_conformance.infra.cloud.link_local.upstream import Forwarder
from kip_conformance.infra.fabric.nic import METADATA, RESOLVER, TIME

__all__ = ["Served", "Wiring"]


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where the services of an interface listen. What differs from the last time is made anew.

    `identity` is the namespace's own, so that one that was made anew under the same name is noticed.
    """

    netns: str
    identity: int
    instance_id: str
    vpc_id: str
    resolver: str


@dataclass(slots=True)
class Served:
    """The open sockets of one interface."""

    wiring: Wiring
    servers: list[asyncio.Server] = field(default_factory=list)
    datagrams: list[asyncio.DatagramTransport] = field(default_factory=list)
    resolver_sockets: list[socket.socket] = field(default_factory=list)
    visitors: set[metadata.Connection] = field(default_factory=set)
    askers: set[OverTcp] = field(default_factory=set)
    is_silent: bool = False

    @classmethod
    async def open(
        cls,
        wiring: Wiring,
        facts: Callable[[], InstanceFacts],
        table: Callable[[], NameTable | None],
        tokens: metadata.Tokens,
        forwarder: Forwarder,
    ) -> Served:
        """Listen. Raises OSError when the namespace is away or one of its ports is taken; nothing stays open then."""
        served = cls(wiring)
        at = dict.fromkeys((RESOLVER, wiring.resolver))
        made: list[socket.socket] = []
        try:
            with sockets.inside(wiring.netns):
                for address in at:
                    made.append(sockets.tcp_listener(address, 53))
                    made.append(sockets.udp_socket(address, 53))
                made.append(sockets.tcp_listener(METADATA, 80))
                made.append(sockets.udp_socket(TIME, 123))
        except BaseException:
            for each in made:
                each.close()
            raise
        served.resolver_sockets = made[: 2 * len(at)]
        answerer = Answerer(table, forwarder)
        for listener in made[0 : 2 * len(at) : 2]:
            await served._listen(lambda: OverTcp(answerer, served.askers), listener)
        for bound in made[1 : 2 * len(at) : 2]:
            await served._receive(lambda: OverUdp(answerer), bound)
        await served._listen(lambda: metadata.Connection(facts, tokens, served.visitors), made[-2])
        await served._receive(clock.OverUdp, made[-1])
        return served

    async def _listen(self, protocol: Callable[[], asyncio.Protocol], listener: socket.socket) -> None:
        self.servers.append(await asyncio.get_running_loop().create_server(protocol, sock=listener))

    async def _receive(self, protocol: Callable[[], asyncio.DatagramProtocol], bound: socket.socket) -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(protocol, sock=bound)
        self.datagrams.append(transport)

    def keep_silent(self, *, is_silent: bool) -> None:
        """Whether the resolver keeps silent, as it does where the VPC has DNS support off."""
        if is_silent != self.is_silent:
            for each in self.resolver_sockets:
                (sockets.silence if is_silent else sockets.unsilence)(each)
            for asker in list(self.askers) if is_silent else ():
                asker.close()
            self.is_silent = is_silent

    def close(self) -> None:
        """Close everything: a socket that stays open would keep its namespace, and the machine's wire with it."""
        for server in self.servers:
            server.close()
        for transport in self.datagrams:
            transport.abort()
        for visitor in list(self.visitors):
            visitor.close()
        for asker in list(self.askers):
            asker.close()
