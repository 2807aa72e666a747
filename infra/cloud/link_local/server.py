"""The process behind the link-local addresses of a whole lab: facts from files, services for each interface.

It changes only when it is told to, over a unix socket (client.py is the other side): then it reads what is new in the
folder, opens what is missing, closes what is gone. One line of JSON a request, one a reply.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kip_conformance.infra.cloud.facts import InstanceFacts, WorldFacts, ZoneFacts
from kip_conformance.infra.cloud.link_local import sockets
from kip_conformance.infra.cloud.link_local.folder import FactsFolder
from kip_conformance.infra.cloud.link_local.interface import Served, Wiring
from kip_conformance.infra.cloud.link_local.metadata import Tokens
from kip_conformance.infra.cloud.link_local.names import NameTable
from kip_conformance.infra.cloud.link_local.upstream import Forwarder
from kip_conformance.infra.cloud.link_local.world import World

__all__ = ["LinkLocalServer", "run"]


@dataclass(slots=True)
class LinkLocalServer:
    """What is served now. `sync` makes it what the folder says."""

    folder: FactsFolder
    instances: dict[str, InstanceFacts] = field(default_factory=dict)
    tables: dict[str, NameTable] = field(default_factory=dict)
    interfaces: dict[str, Served] = field(default_factory=dict)
    tokens: Tokens = field(default_factory=Tokens)
    forwarder: Forwarder = field(default_factory=Forwarder)
    world: World | None = None
    _seen: dict[Path, tuple[int, ...]] = field(default_factory=dict)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def sync(self) -> list[str]:
        """Read what changed and open or close what that takes; returns one line for each thing that failed.

        What failed is tried again by the next sync. What is unreadable keeps being served as it was.
        """
        async with self._one_at_a_time:
            problems: list[str] = []
            self._read(self.folder.zones, problems, self._set_zone, self.tables)
            self._read(self.folder.instances, problems, self._set_instance, self.instances)
            await self._open_and_close(problems)
            await self._open_world(problems)
            return problems

    def _read(self, folder: Path, problems: list[str], take: Callable[[str, str], None], known: dict[str, Any]) -> None:
        present: dict[str, Path] = {path.stem: path for path in folder.glob("*.json")}
        for name in [name for name in known if name not in present]:
            del known[name]
            self._seen.pop(folder / f"{name}.json", None)
        for name, path in present.items():
            try:
                status = path.stat()
                version = (status.st_ino, status.st_mtime_ns, status.st_size)
                if self._seen.get(path) != version:
                    take(name, path.read_text(encoding="utf-8"))
                    self._seen[path] = version
            except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
                problems.append(f"{path}: {type(error).__name__}: {error}")

    def _set_zone(self, name: str, text: str) -> None:
        self.tables[name] = NameTable.of(ZoneFacts.from_json(text))

    def _set_instance(self, name: str, text: str) -> None:
        facts = InstanceFacts.from_json(text)
        if not facts.interfaces:
            raise ValueError("an instance has at least one interface")
        self.instances[name] = facts

    async def _open_and_close(self, problems: list[str]) -> None:
        wanted = self._wanted(problems)
        for name in [name for name, served in self.interfaces.items() if wanted.get(name) != served.wiring]:
            self.interfaces.pop(name).close()
        await asyncio.sleep(0)  # asyncio closes datagram sockets one turn later, and their ports may be wanted again
        for name, wiring in wanted.items():
            if name not in self.interfaces:
                try:
                    self.interfaces[name] = await Served.open(
                        wiring,
                        partial(self.instances.__getitem__, wiring.instance_id),
                        partial(self.tables.get, wiring.vpc_id),
                        self.tokens,
                        self.forwarder,
                    )
                except OSError as error:
                    problems.append(f"interface {name}: namespace {wiring.netns}: {error.strerror}")
                    continue
            self.interfaces[name].keep_silent(is_silent=not self.tables[wiring.vpc_id].facts.dns_support)

    async def _open_world(self, problems: list[str]) -> None:
        """The resolver of the outside world, where there is one."""
        path = self.folder.world
        try:
            wanted = WorldFacts.from_json(path.read_text(encoding="utf-8")) if path.exists() else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{path}: {type(error).__name__}: {error}")
            return
        if self.world is not None and (wanted is None or not self.world.takes(wanted)):
            self.world.close()
            self.world = None
            await asyncio.sleep(0)  # as above
        if wanted is not None and self.world is None:
            try:
                self.world = await World.open(wanted)
            except OSError as error:
                problems.append(f"resolver of the outside world: namespace {wanted.netns}: {error.strerror}")

    def _wanted(self, problems: list[str]) -> dict[str, Wiring]:
        wanted: dict[str, Wiring] = {}
        for instance_id, facts in self.instances.items():
            for interface in facts.interfaces:
                name, netns = interface.interface_id, interface.netns
                table = self.tables.get(interface.vpc_id)
                if table is None:
                    problems.append(f"interface {name}: nothing is known about {interface.vpc_id}")
                    continue
                try:
                    identity = sockets.identity(netns)
                except OSError as error:
                    problems.append(f"interface {name}: namespace {netns}: {error.strerror}")
                    continue
                wanted[name] = Wiring(netns, identity, instance_id, interface.vpc_id, table.facts.resolver)
        return wanted

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the client."""
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._reply(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # a client that went away, or sent a line without end
        finally:
            writer.close()

    async def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except ValueError as error:
            return {"error": f"not a request: {error}"}
        if request == {"op": "sync"}:
            problems = await self.sync()
            return {
                "problems": problems,
                "instances": len(self.instances),
                "interfaces": len(self.interfaces),
            }
        return {"error": f"unknown request {request}: there is sync"}

    def close(self) -> None:
        for served in self.interfaces.values():
            served.close()
        if self.world is not None:
            self.world.close()


async def run(folder: FactsFolder) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError when the control socket cannot be made."""
    server = LinkLocalServer(folder)
    for problem in await server.sync():
        print(problem, file=sys.stderr, flush=True)
    folder.control.unlink(missing_ok=True)
    control = await asyncio.start_unix_server(server.talk, folder.control)
    folder.control.chmod(0o600)
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await over.wait()
    control.close()
    server.close()
    folder.control.unlink(missing_ok=True)
