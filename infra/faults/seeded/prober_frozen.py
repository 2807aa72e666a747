"""The prober of one pod is stopped (SIGSTOP): its sockets are open, and nobody is at home."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import place, signal_prober
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    victim = place(lab, "node-b")
    signal_prober(lab, victim, "STOP")
    try:
        yield
    finally:
        signal_prober(lab, victim, "CONT")
        lab.wait_probers(within=20)


FAULT = Fault(
    name="prober-frozen",
    sentence="the prober of the place node-b is frozen",
    plant=_plant,
    is_harness=True,
)
