"""The seam between a cluster and everything that judges it: Target, Cluster, Machine, Place, ClusterDescription.

Nothing above this module knows which target it runs on; nothing here knows pytest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from kip_conformance.infra.errors import UsageError

__all__ = [
    "DESCRIPTION_VERSION",
    "Capture",
    "Cluster",
    "ClusterDescription",
    "Completed",
    "Component",
    "ConfiguresProviders",
    "CountsTraces",
    "HeldProcess",
    "Machine",
    "NetworkPoint",
    "OutsideProvider",
    "Place",
    "PodRef",
    "Progress",
    "Protocol4",
    "RunsProvidersOutside",
    "ShowsNetwork",
    "Target",
]

DESCRIPTION_VERSION = 3

Protocol4 = Literal["tcp", "udp"]
Component = Literal["service-proxy", "api-server", "provider"]
PlaceKind = Literal["pod", "hostnet", "host", "plain"]


class Progress(Protocol):
    """Receives one line for each step of a long operation; the caller decides how to show it."""

    def __call__(self, line: str, /) -> None: ...


@dataclass(frozen=True, slots=True)
class PodRef:
    """A pod by name and UID; the UID tells a restarted prober from a replaced pod."""

    namespace: str
    name: str
    uid: str
    container: str = "prober"


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere a client or a server can be: one resident prober runs there.

    `address` is where its listeners are reached, `sources` every address that counts as its source, `ports` the port
    numbers it listens on, each on TCP and on UDP. `socket` is the prober's unix socket as seen in its own file system.
    `node` is the virtual node that a pod is bound to; empty where its machine is its node.
    """

    name: str
    kind: PlaceKind
    machine: str
    address: str
    sources: tuple[str, ...]
    ports: tuple[int, ...]
    socket: str
    pod: PodRef | None = None
    node: str = ""


@dataclass(frozen=True, slots=True)
class Completed:
    """What a finished command left: its exit code, and output as bytes."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes


class HeldProcess(Protocol):
    """A process on a machine that lives until `close()`; the descriptors are this process's ends of its pipes."""

    stdin: int
    stdout: int

    def close(self) -> None: ...


class Capture(Protocol):
    """A running packet capture. Its bytes are those of a pcap file, bounded; see infra/machines/packets.py."""

    def so_far(self) -> bytes:
        """What has been captured until now; the last packet may be there in part, or not yet."""

    def stop(self) -> bytes:
        """End the capture; returns all of it."""


class Machine(Protocol):
    """A machine of the cluster. No pid and no namespace path: a guest or an instance behind an agent has none."""

    name: str
    addresses: tuple[str, ...]

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Run to the end. Raises HarnessError when it cannot be started or exceeds `timeout` seconds."""

    def open(self, argv: Sequence[str]) -> HeldProcess:
        """Start and hold a process whose stdin and stdout are pipes to the caller."""

    def read(self, path: str) -> bytes:
        """The contents of a file on the machine. Raises HarnessError when it cannot be read."""

    def capture(self, expression: str, *, interface: str = "any") -> AbstractContextManager[Capture]:
        """Capture packets that match a pcap-filter(7) expression for the length of the block."""


@dataclass(frozen=True, slots=True)
class ClusterDescription:
    """All that another process needs to use, or take down, a cluster. JSON, versioned; paths, never secrets."""

    run_id: str
    target: str
    state: str
    kubeconfig: str
    places: tuple[Place, ...] = ()
    modes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    version: int = DESCRIPTION_VERSION

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, origin: str | Path = "description") -> ClusterDescription:
        """Raises UsageError when the text is not a description of this version; `origin` is named in the message."""
        try:
            raw = json.loads(text)
            version = raw["version"]
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{origin}: not a cluster description ({error}); bring the lab up again") from error
        if version != DESCRIPTION_VERSION:
            raise UsageError(
                f"{origin}: written by another version of this suite (description version {version}, "
                f"this one reads {DESCRIPTION_VERSION}); clean that run and bring it up again"
            )
        try:
            raw["places"] = tuple(
                Place(
                    **{
                        **place,
                        "sources": tuple(place["sources"]),
                        "ports": tuple(place["ports"]),
                        "pod": PodRef(**place["pod"]) if place["pod"] else None,
                    }
                )
                for place in raw["places"]
            )
            raw["modes"], raw["features"] = tuple(raw["modes"]), tuple(raw["features"])
            return cls(**raw)
        except (KeyError, TypeError) as error:
            raise UsageError(f"{origin}: damaged cluster description ({error}); bring the lab up again") from error


class Cluster(Protocol):
    """A running cluster. `machines` are keyed by name; a place's machine is one of them."""

    description: ClusterDescription
    machines: Mapping[str, Machine]

    @property
    def places(self) -> Sequence[Place]: ...

    @property
    def service_proxy(self) -> str:
        """The mode that every machine's proxy itself reports now. Raises HarnessError when they differ."""

    def set_service_proxy(self, mode: str) -> None:
        """Switch every machine to `mode`; returns once each proxy reports it and a canary Service answers."""

    def stopped(self, component: Component) -> AbstractContextManager[None]:
        """Without a component for the length of the block; only where the target declares disruptable.

        No machine has a service proxy that runs, or none reaches the API server, or no provider of virtual nodes runs.
        Probers can still be spoken to, but without a provider those on its node cannot. On leaving, the component runs
        again; what it makes up for takes its time. Raises HarnessError when it does not.
        """

    def check_components(self) -> None:
        """Raises HarnessError naming the first component that is dead; returns quickly when all are alive.

        One that is stopped on purpose is not missed.
        """

    def check_residents(self) -> None:
        """Raises HarnessError naming a resident pod that does not run, or that was started again a moment ago."""


@dataclass(frozen=True, slots=True)
class NetworkPoint:
    """A piece of the network between machines that can be looked into, such as a NIC or a router.

    `machine` runs commands and captures there; `owner` is who would have to mend it.
    """

    name: str
    where: str
    owner: str
    machine: Machine


class ShowsNetwork(Protocol):
    """A cluster whose network can be looked into, too. Most cannot: a finding then says less, and nothing else."""

    def network_between(self, client: str, server: str) -> Sequence[NetworkPoint]:
        """What lies between two machines (by name), in the order of the way there; nothing when it is not known."""


class ConfiguresProviders(Protocol):
    """A cluster whose providers of virtual nodes can be told otherwise; it declares provider-configurable."""

    def provider_settings(self) -> Mapping[str, Any]:
        """What provider.yaml says now."""

    def providers_told(self, change: Callable[[dict[str, Any]], None]) -> AbstractContextManager[None]:
        """Providers run with a changed provider.yaml for the length of the block; `change` is given what it says.

        Cells that run go on. Raises HarnessError.
        """


class OutsideProvider(Protocol):
    """A provider of virtual nodes on a machine that is no instance in the cells' network."""

    def refusal(self, subnet: str) -> str:
        """What it says last when it does not start with this subnet in provider.yaml, or (empty) with none.

        Empty when it does start.
        """

    def start(self, subnet: str) -> str:
        """Run it with this subnet in provider.yaml; returns the name of its virtual node. Raises HarnessError."""


class RunsProvidersOutside(Protocol):
    """A cluster that can have such a provider, with the settings of its others; it declares provider-outside."""

    def provider_outside(self) -> AbstractContextManager[OutsideProvider]:
        """It ends with the block, once its cells have. Raises HarnessError for what it leaves."""


class Target(Protocol):
    """A kind of cluster that can be stood up. A context manager wraps `up` and `down`."""

    name: str
    modes: tuple[str, ...]

    def up(self, progress: Progress) -> Cluster: ...

    def attach(self, description: ClusterDescription) -> Cluster: ...

    def down(self, description: ClusterDescription) -> None: ...

    def keep(self, description: ClusterDescription) -> Sequence[str]:
        """Let the cluster outlive this process. Returns the command lines that attach to it and that clean it up."""


class CountsTraces(Protocol):
    """A target whose clusters can be looked for when they are gone; its clusters declare second-cluster."""

    def up_and_down(self, progress: Progress) -> Sequence[str]:
        """Stand a cluster up, take it down, and return what is left of it, in words. Raises KipError."""
