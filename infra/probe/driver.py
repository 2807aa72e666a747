"""The driver: asks the resident probers of all places at once, and returns observations that can be trusted.

A synchronous face over one asyncio loop in one background thread. Channels open when they are first needed: the exec
stream for pods, a held process for hosts. Never a subprocess, never an exec for a probe.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from kip_conformance.infra.errors import HarnessError, KipError, UsageError
from kip_conformance.infra.judge.grid import Grid, Site
from kip_conformance.infra.probe import prober
from kip_conformance.infra.probe.answers import Interface, Resolution, SizeAnswer, Stats
from kip_conformance.infra.probe.choice import attempts_for, chosen, worst
from kip_conformance.infra.probe.interview import Interview
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.probe.probe_target import ProbeTarget, Station
from kip_conformance.infra.probe.rounds import LOOPBACK, Question
from kip_conformance.infra.targets.protocol import Completed, Machine, Place, PodRef, Protocol4

__all__ = ["Driver", "ProbeTarget", "Station"]

T = TypeVar("T")

HOST_PROBER = (sys.executable, "-I", "-S", str(Path(prober.__file__).resolve()))
"""How a machine that shares this file system runs the prober."""


class Driver:
    """Drives the probers of `places`. A context manager; usable from any thread, and from several at once.

    `worker` goes into every request's id. `pairs`, when given, are the only (client, server) names that grids ask.
    """

    def __init__(
        self,
        places: Sequence[Place],
        machines: Mapping[str, Machine],
        kubeconfig: Path,
        *,
        worker: str = "main",
        pairs: Collection[tuple[str, str]] | None = None,
        host_prober: Sequence[str] = HOST_PROBER,
    ) -> None:
        self._places = {place.name: place for place in places}
        self._pairs = None if pairs is None else frozenset(pairs)
        self._interview = Interview(self._places, machines, kubeconfig, worker=worker, host_prober=host_prober)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._is_closed = False

    # ------------------------------------------------------------------------------------------------ observations

    def all(
        self,
        clients: Iterable[Place | Station],
        servers: Iterable[Place | Station | ProbeTarget],
        protocol: Protocol4,
        *,
        port: int | None = None,
        timeout: float = 1.0,
        size: int = 0,
        reply_size: int = 0,
        pairs: Collection[tuple[str, str]] | None = None,
        title: str = "",
        **options: Any,
    ) -> Grid:
        """Probe every server from every client, all at once; one batch a client.

        A client does not probe a server of its own name. Places are reached at their address and `port`, by default
        their first; `timeout` in seconds; `size` and `reply_size` in bytes of the whole request and answer; `pairs`
        names the pairs to ask instead of all; `options` are further fields of a probe (df, ttl, tos, ip_options,
        source_port, bind, attempts, idle: seconds of silence in the middle of a TCP request). Raises HarnessError when
        any observation could not be made.
        """
        targets = [self._target(server, protocol, port) for server in servers]
        questions = [
            Question(client.name, target) for client in clients for target in targets if client.name != target.name
        ]
        if pairs is not None:
            wanted = frozenset(pairs)
            questions = [question for question in questions if _pair(question) in wanted]
        if self._pairs is not None:
            questions = [question for question in questions if _pair(question) in self._pairs]
        seen = self._observe(questions, timeout, {"size": size, "reply_size": reply_size, **options})
        return self._grid(
            {_pair(question): observation for question, observation in seen},
            protocol,
            title,
            {target.name: target for target in targets},
        )

    def through(
        self,
        clients: Iterable[Place | Station],
        target: ProbeTarget,
        *,
        attempts: int | None = None,
        timeout: float = 1.0,
        title: str = "",
        **options: Any,
    ) -> Grid:
        """Probe a target that chooses among its peers, `attempts` times from each client, each from another port.

        The grid's columns are the target itself (the worst of all attempts) and each peer (open when it answered at
        least once, else a wrong_peer that says how often it was not chosen). By default the attempts are so many that
        an even choice misses any of the peers with a chance below one in 10^9.

        No attempt is repeated by itself: the repetition would meet another peer and hide a dead one.
        """
        if not target.peers:
            raise UsageError(f"target {target.name} names no peers: there is nothing to choose among")
        columns = (target.name, *target.peers)
        asking = [
            client
            for client in clients
            if self._pairs is None or any((client.name, column) in self._pairs for column in columns)
        ]
        times = attempts or attempts_for(len(target.peers))
        questions = [Question(client.name, target) for client in asking for _ in range(times)]
        series = self._series(questions, timeout, options)
        observations: dict[tuple[str, str], Observation] = {}
        for client in asking:
            mine = series[client.name]
            observations[client.name, target.name] = worst(mine)
            for peer in target.peers:
                observations[client.name, peer] = chosen(mine, peer, self._places[client.name].sources)
        if self._pairs is not None:
            observations = {pair: observations[pair] for pair in observations if pair in self._pairs}
        return self._grid(observations, target.protocol, title, dict.fromkeys(columns, target))

    def _series(
        self, questions: Sequence[Question], timeout: float, options: Mapping[str, Any]
    ) -> dict[str, list[Observation]]:
        """The observations of each client, by name."""
        series: dict[str, list[Observation]] = {}
        for question, observation in self._observe(questions, timeout, {"attempts": 1, **options}):
            series.setdefault(question.client, []).append(observation)
        return series

    def series(
        self, clients: Iterable[Place | Station], target: ProbeTarget, *, attempts: int, timeout: float = 1.0
    ) -> dict[str, list[Observation]]:
        """Every single observation of `attempts` probes of each client, by client; none is repeated by itself."""
        questions = [Question(client.name, target) for client in clients for _ in range(attempts)]
        return self._series(questions, timeout, {})

    def one(self, client: Place | Station, target: ProbeTarget, *, timeout: float = 1.0, **options: Any) -> Observation:
        """One probe. `options` as for `all`. Raises HarnessError when nothing can be concluded from it."""
        return self._observe([Question(client.name, target)], timeout, options)[0][1]

    def echo(
        self,
        client: Place | Station,
        to: Place | Station | str,
        *,
        size: int = 56,
        timeout: float = 1.0,
        df: bool = False,
    ) -> Observation:
        """One ICMP echo with `size` bytes of data, repeated at half the timeout.

        The kernel answers, not a prober: there is no nonce on the other side and no control. `open` means that the
        data came back; `peer` is the place that has the address, if `to` is one.
        """
        return self._run(self._echo(client, to, size, timeout, df))

    def echoes(
        self,
        clients: Iterable[Place | Station],
        servers: Iterable[Place | Station],
        *,
        size: int = 56,
        timeout: float = 1.0,
        df: bool = False,
        title: str = "",
    ) -> Grid:
        """One ICMP echo from every client to every server of another name, all at once; see `echo`."""
        servers = list(servers)
        pairs = [(client, server) for client in clients for server in servers if client.name != server.name]
        if self._pairs is not None:
            pairs = [(client, server) for client, server in pairs if (client.name, server.name) in self._pairs]

        async def together() -> list[Observation]:
            return await asyncio.gather(*(self._echo(client, server, size, timeout, df) for client, server in pairs))

        seen = dict(zip([(client.name, server.name) for client, server in pairs], self._run(together()), strict=True))
        return self._grid(seen, "icmp", title)

    # --------------------------------------------------------------------------------------------- other questions

    def vouch(self, places: Iterable[Place], *, timeout: float = 1.0) -> None:
        """Raises HarnessError unless the first listener of each of these places answers its own prober.

        For rows in which somebody else asks that listener: then silence says something about the way to it.
        """
        for question, seen in self._observe(
            [
                Question(place.name, ProbeTarget("itself", LOOPBACK, place.ports[0], "tcp", (place.name,)))
                for place in places
            ],
            timeout,
            {},
        ):
            if not seen.is_open:
                raise HarnessError(f"the listener of place {question.client} does not answer its own prober: {seen}")

    def check_listeners(self, places: Iterable[Place], *, timeout: float = 0.5) -> None:
        """Raises HarnessError when a listener of one of these places refuses its own prober, or another one answers.

        What cannot be asked, or does not answer, is not held against anybody: that may be what a row is about.
        """
        questions = [
            Question(place.name, ProbeTarget(f"{protocol} {port}", LOOPBACK, port, protocol, ()))
            for place in places
            for protocol in ("tcp", "udp")
            for port in place.ports
        ]
        try:
            seen = self._observe(questions, timeout, {})
        except KipError:
            return
        for question, observation in seen:
            listener = f"the listener {question.target.name} of place {question.client}"
            if observation.kind == "refused":
                raise HarnessError(f"{listener} refuses its own prober: it is dead")
            if observation.peer not in (None, question.client):
                raise HarnessError(f"{listener} is another's: {observation.peer} answers its own prober there")

    def addresses(self, place: Place | Station) -> tuple[Interface, ...]:
        """The interfaces of a place, with addresses, MTU and state, as the place itself sees them."""
        return tuple(Interface.of(raw) for raw in self._ask(place, {"op": "addresses"}, 2.0)["interfaces"])

    def resolve(
        self,
        place: Place | Station,
        name: str,
        type: str = "A",
        *,
        server: str | None = None,
        port: int = 53,
        tcp: bool | None = None,
        edns: int = 0,
        search: bool | None = None,
        files: bool = False,
        fallback: bool = True,
        timeout: float = 5.0,
    ) -> Resolution:
        """Resolve a name in a place: by its own resolv.conf with its search path, or by the server that is named.

        `edns` is the UDP payload size to offer (0: none); `fallback` repeats a truncated answer over TCP; `files` looks
        in the place's /etc/hosts first. No answer at all is a Resolution without rcode, not an error.
        """
        asked = {"server": server, "tcp": tcp, "search": search}
        message = {
            "op": "resolve", "name": name, "type": type, "port": port, "edns": edns,
            "files": files, "fallback": fallback, "timeout": timeout,
            **{key: value for key, value in asked.items() if value is not None},
        }  # fmt: skip
        return Resolution.of(self._ask(place, message, timeout))

    def mtu(
        self,
        client: Place | Station,
        server: Place | Station | ProbeTarget,
        sizes: Iterable[int],
        *,
        port: int | None = None,
        timeout: float = 1.0,
        cached: bool = False,
    ) -> tuple[SizeAnswer, ...]:
        """Send one UDP packet of each size (bytes, IPv4 header included) with "don't fragment" to a prober's listener.

        What the client's kernel learned of the path before is ignored unless `cached`.
        """
        target, wanted = self._target(server, "udp", port), list(sizes)
        message = {
            "op": "mtu", "host": target.address, "port": target.port,
            "sizes": wanted, "timeout": timeout, "cached": cached,
        }  # fmt: skip
        reply = self._ask(client, message, timeout * len(wanted))
        return tuple(SizeAnswer(**raw) for raw in reply["answers"])

    def ask_all(
        self, questions: Sequence[tuple[Place | Station, Mapping[str, Any]]], *, wait: float
    ) -> list[dict[str, Any]]:
        """The same kinds of questions to many places at once; the replies in order.

        Raises HarnessError when one of them has no reply `wait` + 4 seconds later.
        """
        return self._run(self._interview.ask_all([(place.name, dict(message)) for place, message in questions], wait))

    def grid_of(self, observations: Mapping[tuple[str, str], Observation], protocol: str, *, title: str = "") -> Grid:
        """What was seen by other means than probes, as a grid: of the pairs that were asked for with --pair, if any."""
        chosen = {pair: seen for pair, seen in observations.items() if self._pairs is None or pair in self._pairs}
        return self._grid(chosen, protocol, title)

    def set_listener(self, place: Place | Station, protocol: Protocol4, port: int, *, is_open: bool) -> None:
        """Open or close one listener of a place's prober, for rows and faults whose subject is one that is gone."""
        self._ask(place, {"op": "listen", "proto": protocol, "port": port, "open": is_open}, 2.0)

    def set_http_status(self, place: Place | Station, status: int) -> None:
        """What a place's prober answers to every HTTP GET from now on, on all its TCP ports; 200 at first."""
        self._ask(place, {"op": "http", "status": status}, 2.0)

    def stats(self, place: Place | Station) -> Stats:
        """How a place's prober is."""
        reply = self._ask(place, {"op": "stats"}, 2.0)
        return Stats(**{key: reply[key] for key in Stats.__dataclass_fields__})

    def execute(self, pod: PodRef, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Run a command in a pod over the exec endpoint, for rows whose subject is exec itself. Never for probing."""
        return self._run(self._interview.execute(pod, argv, stdin=stdin, timeout=timeout))

    # --------------------------------------------------------------------------------------------- places and life

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(self._places.values())

    def at(self, place: Place | str, *, timeout: float = 1.0) -> Station:
        """A handle for writing probes as `client >> server.tcp(8080)`."""
        known = self._places.get(place if isinstance(place, str) else place.name)
        if known is None:
            raise UsageError(f"unknown place {place}; known are {', '.join(self._places)}")
        return Station(known, self, timeout)

    def add(self, place: Place) -> Station:
        """Take in a place that a test made for itself."""
        self._places[place.name] = place
        return Station(place, self)

    def remove(self, place: Place | Station) -> None:
        """Forget a place, and close its channel."""
        if self._places.pop(place.name, None) is not None and self._thread is not None:
            self._run(self._interview.forget(place.name))

    def open(self, places: Iterable[Place | Station] | None = None) -> None:
        """Open the channels of some or all places at once. Raises HarnessError for one that cannot be reached."""
        names = [place.name for place in (self.places if places is None else places)]
        self._run(self._interview.open(names))

    def close(self) -> None:
        """Say goodbye to every prober and end the thread. The driver cannot be used afterwards."""
        with self._starting:
            self._is_closed = True
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._interview.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------------ inside

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            loop = self._running_loop()
        except HarnessError:
            coroutine.close()
            raise
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupted test must not leave its batch behind
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._is_closed:
                raise HarnessError("this driver is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="probe-driver", daemon=True)
                self._thread.start()
            return self._loop

    def _observe(
        self, questions: Sequence[Question], timeout: float, options: Mapping[str, Any]
    ) -> list[tuple[Question, Observation]]:
        if not questions:
            return []
        given = {
            key: value
            for key, value in options.items()
            if value is not None and (value or key not in ("size", "reply_size"))
        }
        observations = self._run(self._interview.observe(questions, timeout=timeout, options=given))
        return list(zip(questions, observations, strict=True))

    async def _echo(
        self, client: Place | Station, to: Place | Station | str, size: int, timeout: float, df: bool
    ) -> Observation:
        address = to if isinstance(to, str) else _place(to).address
        message = {"op": "echo", "host": address, "size": size, "timeout": timeout, "df": df}
        reply = await self._interview.ask(client.name, message, timeout)
        peer = None if isinstance(to, str) or reply["outcome"] != "open" else to.name
        return Observation(reply["outcome"], peer, None, reply.get("rtt"), reply.get("detail") or "")

    def _ask(self, place: Place | Station, message: dict[str, Any], wait: float) -> dict[str, Any]:
        return self._run(self._interview.ask(place.name, message, wait))

    def _target(self, server: Place | Station | ProbeTarget, protocol: Protocol4, port: int | None) -> ProbeTarget:
        if isinstance(server, ProbeTarget):
            return server
        station = self.at(_place(server))
        return station.tcp(port) if protocol == "tcp" else station.udp(port)

    def _grid(
        self,
        observations: dict[tuple[str, str], Observation],
        protocol: str,
        title: str,
        targets: Mapping[str, ProbeTarget] | None = None,
    ) -> Grid:
        sites = {name: Site(place.machine, place.kind) for name, place in self._places.items()}
        is_restricted = self._pairs is not None
        return Grid(
            observations, title=title, protocol=protocol, sites=sites, targets=targets, is_restricted=is_restricted
        )


def _place(place: Place | Station) -> Place:
    return place.place if isinstance(place, Station) else place


def _pair(question: Question) -> tuple[str, str]:
    return question.client, question.target.name
