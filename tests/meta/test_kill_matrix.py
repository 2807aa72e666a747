"""On a real lab, a tenth of the faults: every defect is seen, and nothing goes red without cause.

All of them, and whether every check can fail, is `make faults`.
"""

from __future__ import annotations

import os
import sys

import pytest
from kip_conformance.infra.faults.fault import find_faults, sample_faults
from kip_conformance.infra.faults.runner import Scope, run_faults, write_matrix
from kip_conformance.infra.lab.state import new_run_id
from kip_conformance.infra.targets.lab import LabTarget
from kip_conformance.infra.targets.options import TargetOptions

SEED = 1  # a gate must not change by itself; KIP_FAULTS_SEED chooses another sample


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    """One lab, a sample of the faults planted in turn."""
    if os.geteuid() != 0:
        pytest.fail("faults are planted in a lab, which needs root", pytrace=False)
    out = tmp_path_factory.mktemp("faults")

    def say(line: str) -> None:
        print(line, file=sys.__stderr__, flush=True)

    seed = int(os.environ.get("KIP_FAULTS_SEED") or SEED)
    # Those of cells need a lab with cells, and are tried apart.
    faults = sample_faults([fault for fault in find_faults() if not fault.places], 0.1, seed)
    say(f"KIP_FAULTS_SEED={seed}: {', '.join(fault.name for fault in faults)}")
    target = LabTarget(TargetOptions(new_run_id()))
    lab = target.up(say)
    try:
        found = run_faults(lab, faults, out, say, Scope(is_sample=True, seed=seed))
    finally:
        target.down(lab.description)
    write_matrix(found, out)
    return found


def test_every_check_is_killed_by_a_fault(matrix):
    assert matrix.checks_without_a_kill() == [], matrix.as_text()


def test_no_fault_survives(matrix):
    assert matrix.faults_that_survive() == [], matrix.as_text()


def test_nothing_is_red_without_cause(matrix):
    assert matrix.red_without_cause() == [], matrix.as_text()
