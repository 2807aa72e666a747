"""The resolver of the outside world: names that nobody of a VPC has, in the namespace of a machine outside.

It stands for all of the internet's name servers: what it does not know does not exist. Public names of public addresses
(ec2-203-0-113-5.eu-central-1.compute.amazonaws.com) are the address, to whoever asks from outside of its VPC
(Amazon VPC User Guide, DNS attributes for your VPC).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address

from kip_conformance.infra.cloud.facts import WorldFacts
from kip_conformance.infra.cloud.link_local import sockets
from kip_conformance.infra.cloud.link_local.dns_server import Answerer, OverTcp, OverUdp
from kip_conformance.infra.cloud.link_local.names import Found
from kip_conformance.infra.cloud.link_local.resolver import Transport, decide
from kip_conformance.infra.cloud.link_local.upstream import Forwarder

__all__ = ["World", "WorldTable"]

_PUBLIC = re.compile(r"ec2-(\d+-\d+-\d+-\d+)\.(compute-1|[a-z0-9-]+\.compute)\.amazonaws\.com")


@dataclass(frozen=True, slots=True)
class WorldTable:
    """Lookups in lower case, without the dot at the end."""

    names: Mapping[str, str]
    _above: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, facts: WorldFacts) -> WorldTable:
        table = cls({name.lower(): address for name, address in facts.names})
        for name in table.names:
            parts = name.split(".")
            table._above.update(".".join(parts[first:]) for first in range(1, len(parts)))
        return table

    def find(self, name: str) -> Found:
        """What the name has. The zone that answers is its last label."""
        apex = name.rpartition(".")[2] or "example"
        if name in self.names:
            return Found(apex, True, (self.names[name],))
        if address := _public_address(name):
            return Found(apex, True, (address,))
        if name in self._above or name in ("", apex):
            return Found(apex, True, is_apex=name == apex)
        parts = name.split(".")
        for first in range(1, len(parts)):
            parent = ".".join(parts[first:])
            if wild := self.names.get(f"*.{parent}"):
                return Found(apex, True, (wild,))
            if parent in self.names or parent in self._above:
                break  # only the closest name that exists may have a wildcard (RFC 4592)
        return Found(apex, False)


def _public_address(name: str) -> str:
    found = _PUBLIC.fullmatch(name)
    try:
        return str(IPv4Address(found[1].replace("-", "."))) if found else ""
    except AddressValueError:
        return ""


class _WorldAnswerer(Answerer):
    """Answers everybody, and asks nobody. `world` gives the names of the moment."""

    def __init__(self, world: Callable[[], WorldTable]) -> None:
        super().__init__(lambda: None, Forwarder())
        self._world = world

    def answer(self, wire: bytes, transport: Transport, send: Callable[[bytes], None]) -> None:
        decision = decide(self._world(), wire, transport)
        if decision.answer is not None:
            send(decision.answer)


@dataclass(slots=True)
class World:
    """The open sockets: UDP and TCP, port 53. `identity` is that of the namespace they are in."""

    facts: WorldFacts
    identity: int
    table: WorldTable
    server: asyncio.Server | None = None
    datagrams: asyncio.DatagramTransport | None = None
    askers: set[OverTcp] = field(default_factory=set)

    @classmethod
    async def open(cls, facts: WorldFacts) -> World:
        """Listen. Raises OSError when the namespace is away or a port is taken; nothing stays open then."""
        with sockets.inside(facts.netns):
            listener = sockets.tcp_listener(facts.address, 53)
            try:
                bound = sockets.udp_socket(facts.address, 53)
            except BaseException:
                listener.close()
                raise
        made = cls(facts, sockets.identity(facts.netns), WorldTable.of(facts))
        loop, answerer = asyncio.get_running_loop(), _WorldAnswerer(lambda: made.table)
        made.server = await loop.create_server(lambda: OverTcp(answerer, made.askers), sock=listener)
        made.datagrams, _ = await loop.create_datagram_endpoint(lambda: OverUdp(answerer), sock=bound)
        return made

    def takes(self, facts: WorldFacts) -> bool:
        """Answer as `facts` say from now on; no, when that is to be in another place, or its namespace is a new one."""
        try:
            is_here = sockets.identity(facts.netns) == self.identity
        except OSError:
            return False
        if not is_here or facts.address != self.facts.address:
            return False
        if facts != self.facts:
            self.facts, self.table = facts, WorldTable.of(facts)
        return True

    def close(self) -> None:
        """Close everything: an open socket would keep its namespace alive."""
        if self.server is not None:
            self.server.close()
        if self.datagrams is not None:
            self.datagrams.abort()
        for asker in list(self.askers):
            asker.close()
