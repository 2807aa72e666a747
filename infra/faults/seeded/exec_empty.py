"""Exec into one pod ends at once, well and without a word: the program that it should run there is an empty file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import place, run_in_pod
from kip_conformance.infra.targets.lab import LabCluster

_FILE, _ASIDE = "/prober.py", "/run/prober.py.sound"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    victim = place(lab, "node-b")
    run_in_pod(lab, victim, ["busybox", "sh", "-c", f"cat {_FILE} > {_ASIDE} && : > {_FILE}"])
    try:
        yield
    finally:
        run_in_pod(lab, victim, ["busybox", "sh", "-c", f"cat {_ASIDE} > {_FILE} && rm {_ASIDE}"])


FAULT = Fault(
    name="exec-empty",
    sentence="the exec channel to the place node-b ends at once with success and without output",
    plant=_plant,
    is_harness=True,
)
