"""Where a lab keeps its files, and how runs are named. Paths only; nothing here creates a process or a namespace."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.errors import UsageError

__all__ = ["LabFolder", "description_path", "lab_folders", "new_run_id", "state_root"]

_RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


# What containerd allows for its sockets; unix(7) allows 107.
_SOCKET_PATH_LIMIT = 104


def state_root() -> Path:
    """The folder of all labs: KIP_STATE, else /var/lib/kip-conformance."""
    return Path(os.environ.get("KIP_STATE", "/var/lib/kip-conformance"))


def new_run_id() -> str:
    """A name that sorts by time and does not collide: month, day, time of day, four random hex digits."""
    return time.strftime("%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(2)


@dataclass(frozen=True, slots=True)
class LabFolder:
    """The files of one lab. Everything below `path` is removed by tear-down."""

    path: Path

    @classmethod
    def of(cls, run_id: str) -> LabFolder:
        """Raises UsageError when `run_id` could not be a run's name."""
        if not _RUN_ID.fullmatch(run_id):
            raise UsageError(f"run {run_id!r}: a run's name is lower-case letters, digits and dashes, at most 31 long")
        return cls(state_root() / run_id)

    def require_room_for_sockets(self) -> None:
        """Raises UsageError when the folder is so deep that unix sockets in it would have too long a path."""
        longest = self.machine("node-a") / "containerd.sock.ttrpc"
        if len(str(longest)) > _SOCKET_PATH_LIMIT:
            raise UsageError(
                f"{longest}: {len(str(longest))} characters, a unix socket may have {_SOCKET_PATH_LIMIT}: "
                f"set KIP_STATE to a shorter folder, or shorten the run's name"
            )

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def control(self) -> Path:
        """The supervisor's unix socket."""
        return self.path / "control.sock"

    @property
    def description(self) -> Path:
        return self.path / "description.json"

    @property
    def kubeconfig(self) -> Path:
        return self.path / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.path / "pki"

    @property
    def log(self) -> Path:
        return self.path / "log"

    def machine(self, name: str) -> Path:
        """The disk of one machine."""
        return self.path / "m" / name


def description_path(run_id: str) -> Path:
    """Where the description of a kept lab is. Raises UsageError for a name that cannot be a run's."""
    return LabFolder.of(run_id).description


def lab_folders() -> Iterator[LabFolder]:
    """Every lab folder on this machine, dead ones too, by name."""
    root = state_root()
    if root.is_dir():
        for path in sorted(root.iterdir()):
            if path.is_dir() and _RUN_ID.fullmatch(path.name):
                yield LabFolder(path)
