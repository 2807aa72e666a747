"""On a real lab, fault by fault: every check can fail, every defect is seen, nothing goes red without cause."""

from __future__ import annotations

import os
import sys

import pytest
from kip_conformance.infra.faults.fault import find_faults
from kip_conformance.infra.faults.runner import run_faults, write_matrix
from kip_conformance.infra.lab.state import new_run_id
from kip_conformance.infra.targets.lab import LabTarget
from kip_conformance.infra.targets.options import TargetOptions


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    """One lab, every fault planted in turn; takes about two minutes."""
    if os.geteuid() != 0:
        pytest.fail("faults are planted in a lab, which needs root", pytrace=False)
    out = tmp_path_factory.mktemp("faults")

    def say(line: str) -> None:
        print(line, file=sys.__stderr__, flush=True)

    target = LabTarget(TargetOptions(new_run_id()))
    lab = target.up(say)
    try:
        found = run_faults(lab, find_faults(), out, say)
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


def test_dead_channels_are_harness_errors_in_every_row_that_uses_them(matrix):
    (trial,) = [trial for trial in matrix.trials if trial.fault.name == "channel-dead"]

    assert trial.reds == set()
    # IDN-01 asks the API server alone, and N2P-07 opens exec streams of its own.
    assert trial.errors == set(matrix.requirements) - {"IDN-01", "N2P-07"}


def test_a_broken_exec_fails_its_own_row_and_blinds_the_others(matrix):
    (trial,) = [trial for trial in matrix.trials if trial.fault.name == "kubelet-exec-broken"]

    assert trial.reds == {"N2P-07"}
    assert trial.errors == set(matrix.requirements) - {"IDN-01", "N2P-07"}
