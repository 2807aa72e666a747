"""The prober of one pod is killed as often as it is started again. The pod, its address and its network stay."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import place, signal_prober
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.protocol import Place

_EVERY = 0.5  # seconds
_BACK = 180.0  # seconds: the kubelet starts a container that ended later each time


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    victim, over = place(lab, "node-b"), threading.Event()
    killer = threading.Thread(target=_keep_killing, args=(lab, victim, over), daemon=True)
    signal_prober(lab, victim, "KILL")
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()
        lab.wait_probers(within=_BACK)


def _keep_killing(lab: LabCluster, victim: Place, over: threading.Event) -> None:
    while not over.wait(_EVERY):
        with contextlib.suppress(HarnessError):  # it is not there now
            signal_prober(lab, victim, "KILL")


FAULT = Fault(
    name="prober-killed",
    sentence="the prober of the place node-b dies again and again",
    plant=_plant,
    is_harness=True,
)
