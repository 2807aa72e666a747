"""The API server is stopped for ten seconds in the middle of the run, and goes on as if nothing had been."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.plan import CONTROL_PLANE
from kip_conformance.infra.targets.lab import LabCluster

_AFTER, _AWAY = 8.0, 10.0  # seconds: rows are running by then


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    over = threading.Event()
    outage = threading.Thread(target=_be_away, args=(lab, over), daemon=True)
    outage.start()
    try:
        yield
    finally:
        over.set()
        outage.join()


def _be_away(lab: LabCluster, over: threading.Event) -> None:
    if over.wait(_AFTER):
        return
    lab.control.signal(CONTROL_PLANE.name, "kube-apiserver", signal.SIGSTOP)
    try:
        over.wait(_AWAY)
    finally:
        lab.control.signal(CONTROL_PLANE.name, "kube-apiserver", signal.SIGCONT)


FAULT = Fault(
    name="api-away",
    sentence="the API server stands still for ten seconds in the middle of the run",
    plant=_plant,
    is_tolerated=True,
    blinds=True,
    # What was asked for just before takes ten seconds longer to get about.
    options=("--profile", "propagation=25"),
)
