"""What is around the VPCs and no part of the cloud's API: the internet's machines, the region's services, sites.

The API knows a customer gateway by its public address and a service by its name; here is who that is. Whoever starts a
cloud writes it into the lab's folder, and the process that realizes the cloud follows that file.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from kip_conformance.infra.cloud.facts import Upstream, WorldFacts
from kip_conformance.infra.cloud.values import built
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.names import machine_namespace
from kip_conformance.infra.fabric.state import Host, Lan, NetworkState
from kip_conformance.infra.lab.state import LabFolder

__all__ = ["OUTSIDE", "SERVICES", "Outside", "OutsideMachine", "Program", "read_outside", "world_of", "write_outside"]

OUTSIDE = Lan("outside", "198.51.100.0/24", is_public=True)
"""A web server, a registry and a resolver that nobody of the cloud runs (TEST-NET-2 of RFC 5737)."""

SERVICES = Lan("services", "192.0.2.0/24", is_public=True)
"""The region's own services. The first quarter of it is what the prefix list of S3 holds (TEST-NET-1 of RFC 5737)."""

_FILE = "outside.json"


@dataclass(frozen=True, slots=True)
class Program:
    """What a machine runs as long as it lives: its name among the machine's daemons, and its command.

    With `again` it is started again when it ends, five times a minute at most.
    """

    name: str
    argv: tuple[str, ...]
    again: bool = False


@dataclass(frozen=True, slots=True)
class OutsideMachine:
    """A machine at one or several hosts of the same name. It shares the host's files, `files` (by path) excepted."""

    name: str
    programs: tuple[Program, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outside:
    """`services` are addresses by the last words of an endpoint service's name, such as `s3` or `ecr.api`.

    `customers` are machines by the public address of their customer gateway. `machines` are booted at their `hosts`.
    `upstream` answers what the VPCs' resolver does not know itself; None: nobody does. What it answers are `names`
    (addresses by name, `*.` for any first label), when its address is one of `hosts`.
    """

    lans: tuple[Lan, ...] = (OUTSIDE, SERVICES)
    hosts: tuple[Host, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    customers: Mapping[str, str] = field(default_factory=dict)
    upstream: Upstream | None = None
    machines: tuple[OutsideMachine, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def address_of(self, service: str) -> str:
        """The address of an endpoint service (`com.amazonaws.REGION.ecr.api`); empty when nobody serves it here."""
        return next((at for name, at in self.services.items() if service.endswith(f".{name}")), "")

    def validate(self) -> None:
        """Raises ValueError with one line for each contradiction."""
        NetworkState(vpcs=(), lans=self.lans, hosts=self.hosts).validate()
        placed = {one.machine for one in self.hosts}
        lost = [one.name for one in self.machines if one.name not in placed]
        lost += [machine for machine in self.customers.values() if machine not in placed]
        if lost:
            raise ValueError("\n".join(f"machine {name} is at no place: no host has that name" for name in lost))

    def to_json(self) -> str:
        """One line of JSON; `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Outside:
        """Raises ValueError when it is no such value, or contradicts itself."""
        try:
            read: Outside = built(cls, json.loads(text))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this does not say what is around a cloud: {error!r}") from error
        read.validate()
        return read


def world_of(around: Outside) -> WorldFacts | None:
    """What the outside world's resolver answers, and where; None when there is no such resolver."""
    if around.upstream is None:
        return None
    at = around.upstream.address
    machine = next((one.machine for one in around.hosts if at in (one.address, *one.also)), "")
    return WorldFacts(machine_namespace(machine), at, tuple(around.names.items())) if machine and around.names else None


def read_outside(folder: LabFolder) -> Outside:
    """What is around the cloud of a lab; nobody, when nothing was ever written. Raises HarnessError."""
    path = folder.path / _FILE
    try:
        return Outside.from_json(path.read_text())
    except FileNotFoundError:
        return Outside()
    except (OSError, ValueError) as error:
        raise HarnessError(f"{path}: {error}") from error


def write_outside(folder: LabFolder, around: Outside) -> None:
    """Replace the file as a whole. Raises HarnessError for what contradicts itself; the old one then stays."""
    path = folder.path / _FILE
    try:
        around.validate()
    except ValueError as error:
        raise HarnessError(f"what is around the cloud cannot be: {error}") from error
    passing = path.with_suffix(".new")
    passing.write_text(around.to_json())
    os.replace(passing, path)
