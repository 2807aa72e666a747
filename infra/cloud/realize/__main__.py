"""`python -m kip_conformance.infra.cloud.realize --lab DIR --api URL`: make the API's word true, until SIGTERM."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from kip_conformance.infra.cloud.client import CloudClient
from kip_conformance.infra.cloud.link_local.client import LinkLocal
from kip_conformance.infra.cloud.link_local.folder import FactsFolder
from kip_conformance.infra.cloud.outside import Outside, read_outside
from kip_conformance.infra.cloud.realize.endings import watch_endings
from kip_conformance.infra.cloud.realize.hosts import HostMachines
from kip_conformance.infra.cloud.realize.machines import Machines
from kip_conformance.infra.cloud.realize.steps import Realization
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.reconcile import Fabric
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.state import LabFolder

_LONGEST_WAIT = 30.0
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a step that failed is done again."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kip_conformance.infra.cloud.realize", description=__doc__)
    parser.add_argument("--lab", type=Path, required=True, help="the lab's folder")
    parser.add_argument("--api", required=True, metavar="URL", help="where the cloud's API answers")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    folder = LabFolder(given.lab)
    control, api = Control(folder), CloudClient(given.api)
    realization = Realization(
        fabric=Fabric(control, folder.path / "fabric.json"),
        link_local=LinkLocal(FactsFolder(folder.path / "link-local")),
        machines=Machines(control, folder.path / "instances.json"),
        hosts=HostMachines(control, folder.path / "hosts.json"),
    )
    watch_endings(control, api, realization.machines)
    with contextlib.suppress(KeyboardInterrupt):
        follow(api, realization, folder)
    return 0


def follow(api: CloudClient, realization: Realization, folder: LabFolder) -> None:
    """Step whenever the API says something new, for ever. What fails is said, and done again after a while.

    Whoever changes what is around the cloud wakes the API's followers, so that they look at the file.
    """
    version, failures = 0, 0
    done: Outside | None = None
    while True:
        try:
            view = api.view(after=version, wait=_LONGEST_WAIT)
            around = realization.around = read_outside(folder)
            if view.version == version and around == done:
                continue
            for name, report in realization.step(view).items():
                api.report([name], report.state, report.reason)
            version, done, failures = view.version, around, 0
        except HarnessError as error:
            print(f"cloud: {error}", file=sys.stderr, flush=True)
            time.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1


def _end(_number: int, _frame: FrameType | None) -> None:
    # A command under way is not waited for: whoever starts this again takes up where it was.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
