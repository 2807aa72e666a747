"""What the workers of all pods share."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from kip_conformance.infra.provider.config import Config
from kip_conformance.infra.provider.events import Events
from kip_conformance.infra.provider.fleet import Cell, Fleet
from kip_conformance.infra.provider.kube_client import KubeClient
from kip_conformance.infra.provider.launching import Launcher
from kip_conformance.infra.provider.payload import Payload
from kip_conformance.infra.provider.policies.known import Policies
from kip_conformance.infra.provider.routes import CellRoutes
from kip_conformance.infra.provider.starts import Starts

__all__ = ["Facilities", "Patience"]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: until a cell that does not boot is replaced, until an event says that it is late, between sweeps."""

    boot: float = 1200.0
    boot_warning: float = 30.0
    sweep: float = 60.0


@dataclass(frozen=True, slots=True)
class Facilities:
    """`own_vpc` is where the provider itself is: agents there are dialled at their private addresses."""

    config: Config
    kube: KubeClient
    events: Events
    fleet: Fleet
    launcher: Launcher
    payload: Payload
    policies: Policies
    starts: Starts
    routes: CellRoutes
    agent_tls: ssl.SSLContext
    host_ip: str
    node: str
    own_vpc: str
    patience: Patience
    moved: asyncio.Event
    """Set when a pod may have another address than before, or none."""

    def address_of(self, cell: Cell) -> str:
        """Where the cell's agent is dialled."""
        known = self.fleet.cells.get(cell.instance, cell)
        return cell.primary if known.vpc == self.own_vpc or not known.public else known.public
