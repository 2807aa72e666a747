"""What instances do by themselves: one that turns itself off, or boots again, is reported to the API."""

from __future__ import annotations

import signal
import sys
import threading
import time

from kip_conformance.infra.cloud.client import CloudClient
from kip_conformance.infra.cloud.realize.machines import Machines
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.control import Control

__all__ = ["watch_endings"]

_PAUSE = 1.0
"""Seconds until what could not be asked or reported is tried again."""


def watch_endings(control: Control, api: CloudClient, machines: Machines) -> None:
    """From now on, in a thread of its own that ends with the process."""
    threading.Thread(target=_watch, args=(control, api, machines), daemon=True).start()


def _watch(control: Control, api: CloudClient, machines: Machines) -> None:
    waiting: dict[str, str] = {}
    while True:
        try:
            for machine, code in control.ended(within=30.0):
                if instance := machines.instance_at(machine):
                    waiting[instance] = "rebooting" if code == -signal.SIGHUP else "off"
            for instance, state in list(waiting.items()):
                api.report([instance], state)
                del waiting[instance]
        except HarnessError as error:
            print(f"cloud: {error}", file=sys.stderr, flush=True)
            time.sleep(_PAUSE)
