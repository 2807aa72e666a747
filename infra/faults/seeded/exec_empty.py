"""Exec into one pod ends at once, well and without a word: the program that it should run there is an empty file."""

from __future__ import annotations

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import place, rewritten_file
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return rewritten_file(lab, place(lab, "node-b"), "/prober.py", ":")


FAULT = Fault(
    name="exec-empty",
    sentence="the exec channel to the place node-b ends at once with success and without output",
    plant=_plant,
    is_harness=True,
)
