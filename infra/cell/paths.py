"""Where things are on a cell. Nothing below these folders is ever mounted into a container but what says so."""

from __future__ import annotations

__all__ = ["IMAGES", "KEEPER", "LOGS", "POD", "RUN", "RUNC", "SHM", "STATE", "VOLUMES"]

STATE = "/var/lib/cell"
"""On the instance's disk."""
RUN = "/run/cell"
"""In memory: what must not outlive the machine, and what is secret."""

IMAGES = f"{STATE}/images"
LOGS = f"{STATE}/logs"
VOLUMES = f"{STATE}/volumes"
POD = f"{RUN}/pod"
SHM = f"{POD}/shm"
RUNC = f"{RUN}/runc"
KEEPER = f"{RUN}/keeper.sock"
