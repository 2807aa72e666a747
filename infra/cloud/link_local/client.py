"""The client of a lab's link-local services: start them, say what instances there are, wait until they are served."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.cloud.facts import InstanceFacts, WorldFacts, ZoneFacts
from kip_conformance.infra.cloud.link_local.folder import FactsFolder
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.control import Control

__all__ = ["LinkLocal", "start_link_local", "stop_link_local"]

_DAEMON = "link-local"


@dataclass(frozen=True, slots=True)
class LinkLocal:
    """Changes are files first and take effect with the `sync` that ends each method here.

    An interface's namespace must exist before its instance is put here, and the instance must be removed here before
    the namespace is: an open socket keeps a namespace alive, with every link in it.
    """

    folder: FactsFolder
    patience: float = 10.0
    """Seconds that one change may take."""

    def put(self, *instances: InstanceFacts, zones: Iterable[ZoneFacts] = ()) -> None:
        """Add or replace. Raises HarnessError when one cannot be served; the others are."""
        for zone in zones:
            self.folder.put_zone(zone)
        for facts in instances:
            self.folder.put_instance(facts)
        self.sync()

    def remove(self, *instance_ids: str, zones: Iterable[str] = ()) -> None:
        """Stop serving instances, then VPCs; nothing happens for those that are not there."""
        for instance_id in instance_ids:
            self.folder.remove_instance(instance_id)
        for vpc_id in zones:
            self.folder.remove_zone(vpc_id)
        self.sync()

    def put_world(self, facts: WorldFacts | None) -> None:
        """Serve the outside world's names, None: no more. Its namespace comes and goes as an interface's does."""
        self.folder.put_world(facts)
        self.sync()

    def sync(self) -> dict[str, Any]:
        """Let the server read the folder; returns its counts. Raises HarnessError with what cannot be served."""
        answer = self.ask({"op": "sync"})
        if answer["problems"]:
            raise HarnessError("link-local services: " + "; ".join(answer["problems"]))
        return answer

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request as server.py has them. Raises HarnessError when the server is away or refuses it."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self.patience)
                connection.connect(os.fspath(self.folder.control))
                connection.sendall(json.dumps(request).encode() + b"\n")
                with connection.makefile("rb") as lines:
                    said = lines.readline()
        except OSError as error:
            raise HarnessError(f"link-local services: {self.folder.control}: {error.strerror or error}") from error
        if not said:
            raise HarnessError("link-local services: ended without an answer")
        answer: dict[str, Any] = json.loads(said)
        if "error" in answer:
            raise HarnessError(f"link-local services: {answer['error']}")
        return answer


def start_link_local(control: Control, *, within: float = 20.0) -> LinkLocal:
    """Start the lab's link-local services, which then live as long as the lab, or start them again.

    They serve what the folder has already; what of it cannot be served is said by the first `sync`. Raises
    HarnessError when they do not answer within `within` seconds.
    """
    client = LinkLocal(FactsFolder(control.folder.path / _DAEMON))
    client.folder.create()
    client.folder.control.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "kip_conformance.infra.cloud.link_local", "--folder", str(client.folder.path)]
    control.daemon(_DAEMON, argv, again=True)
    deadline = time.monotonic() + within
    while True:
        try:
            client.ask({"op": "sync"})
            return client
        except HarnessError:
            control.check_daemons()
            if time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def stop_link_local(control: Control, *, within: float = 10.0) -> None:
    """End them; their facts stay, so that they can be started again."""
    control.end_daemon(None, _DAEMON, within=within)
