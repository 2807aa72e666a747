"""The kill matrix judges itself: what is missing, what survives, what is red without cause."""

from __future__ import annotations

import contextlib
import json

import pytest
from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.faults.fault import Fault, find_faults
from kip_conformance.infra.faults.matrix import KillMatrix, Trial
from kip_conformance.reports.requirements import load_requirements


def fault(name="f", **fields):
    return Fault(name, "a defect", lambda _lab: contextlib.nullcontext(), **fields)


def trial(planted, **verdicts):
    rows = {(requirement.replace("_", "-"), ""): verdict for requirement, verdict in verdicts.items()}
    return Trial(planted, "iptables", rows)


def test_a_check_that_no_fault_kills_is_listed():
    matrix = KillMatrix(["A-1", "B-1"], [trial(fault(kills=("A-1",)), A_1="fail", B_1="pass")])

    assert matrix.checks_without_a_kill() == ["B-1"]
    assert not matrix.is_clean


def test_a_harness_fault_kills_nothing():
    matrix = KillMatrix(["A-1"], [trial(fault(is_harness=True), A_1="fail")])

    assert matrix.checks_without_a_kill() == ["A-1"]
    assert matrix.red_without_cause() == ["f: A-1"]


def test_a_fault_that_spares_what_it_must_kill_survives():
    matrix = KillMatrix(["A-1"], [trial(fault(kills=("A-1",)), A_1="harness-error")])

    assert matrix.faults_that_survive() == ["f: A-1 stayed harness-error"]


def test_a_row_of_one_mode_must_go_red_in_that_mode_alone():
    planted = fault(kills=("P-1", "P-3"), every_mode=True)
    first = Trial(planted, "iptables", {("P-1", "iptables"): "fail"})
    second = Trial(planted, "nftables", {("P-3", "nftables"): "pass"})

    assert KillMatrix(["P-1", "P-3"], [first, second]).faults_that_survive() == ["f [nftables]: P-3 stayed pass"]
    assert KillMatrix(["P-1", "P-3"], [first]).faults_that_survive() == ["f [iptables]: P-3 stayed not run"]


def test_a_harness_fault_that_nobody_notices_survives():
    matrix = KillMatrix(["A-1"], [trial(fault(is_harness=True), A_1="pass")])

    assert matrix.faults_that_survive() == ["f: no harness-error noticed it"]


def test_red_that_the_fault_does_not_explain_is_without_cause():
    planted = fault(kills=("A-1",), may_redden={"B-1": "takes the same way"})
    matrix = KillMatrix(["A-1", "B-1", "C-1"], [trial(planted, A_1="fail", B_1="fail", C_1="fail")])

    assert matrix.red_without_cause() == ["f: C-1"]


def test_a_defect_must_not_blind_the_harness_unless_it_says_so():
    seen = {"A_1": "fail", "B_1": "harness-error"}

    assert KillMatrix(["A-1"], [trial(fault(kills=("A-1",)), **seen)]).red_without_cause() == ["f: B-1 (harness-error)"]
    assert KillMatrix(["A-1"], [trial(fault(kills=("A-1",), blinds=True), **seen)]).red_without_cause() == []


def test_a_clean_matrix_says_so_in_every_form():
    matrix = KillMatrix(["A-1", "B-1"], [trial(fault(kills=("A-1", "B-1")), A_1="fail", B_1="fail")])

    assert matrix.is_clean
    assert matrix.as_text().count("none") == 3
    assert matrix.as_csv().splitlines() == ["fault,mode,A-1,B-1", "f,iptables,fail,fail"]
    assert json.loads(json.dumps(matrix.as_value()))["checksWithoutAKill"] == []


def test_every_fault_names_requirements_that_exist():
    known = set(load_requirements())
    for planted in find_faults():
        assert {*planted.kills, *planted.may_redden} <= known, planted.name
        assert planted.kills or planted.is_harness, f"{planted.name} kills nothing"
        assert not (planted.is_harness and planted.kills), planted.name


def test_every_requirement_has_a_fault_that_kills_it():
    killed = {requirement for planted in find_faults() for requirement in planted.kills}

    assert killed == set(load_requirements())


def test_an_unknown_fault_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"fault .nope.: unknown; there are .*snat-on-pod-traffic"):
        find_faults(["nope"])
