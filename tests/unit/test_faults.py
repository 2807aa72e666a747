"""The kill matrix judges itself: what is missing, what survives, what is red without cause."""

from __future__ import annotations

import contextlib
import json

import pytest
from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.faults.fault import Fault, find_faults, sample_faults
from kip_conformance.infra.faults.matrix import KillMatrix, Trial
from kip_conformance.infra.faults.matrix_page import page
from kip_conformance.infra.faults.published import document, published_rows
from kip_conformance.infra.faults.runner import _read_trial, rows_for, rows_missing, trials_of
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
    first = Trial(planted, "iptables", {("P-1", "iptables"): "fail", ("A-1", ""): "pass"})
    second = Trial(planted, "nftables", {("P-3", "nftables"): "pass"})
    rows = [("P-1", "iptables"), ("P-3", "nftables"), ("A-1", "")]

    assert KillMatrix(["P-1", "P-3"], [first, second], rows=rows).faults_that_survive() == [
        "f [nftables]: P-3 stayed pass"
    ]
    assert KillMatrix(["P-1", "P-3"], [first], rows=rows).faults_that_survive() == []
    assert KillMatrix(["P-1", "P-3"], [first], rows=rows).checks_without_a_kill() == ["P-3"]
    assert KillMatrix(["P-1", "P-3"], [first], rows=rows, is_sample=True).is_clean


def test_a_row_that_was_not_run_survives():
    planted = fault(kills=("A-1", "B-1"))
    matrix = KillMatrix(["A-1", "B-1"], [trial(planted, A_1="fail")], rows=[("A-1", ""), ("B-1", "")])

    assert matrix.faults_that_survive() == ["f: B-1 stayed not run"]


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


def test_a_tolerated_fault_must_leave_everything_green():
    planted = fault(is_tolerated=True, may_redden={"B-1": "it asks what is slow"})
    matrix = KillMatrix(["A-1", "B-1"], [trial(planted, A_1="harness-error", B_1="harness-error")], is_sample=True)

    assert matrix.red_without_cause() == ["f: A-1 (harness-error)"]
    assert matrix.faults_that_survive() == []


def test_of_a_sample_only_what_its_faults_claim_is_judged():
    planted = fault(kills=("A-1",))
    matrix = KillMatrix(["A-1", "B-1"], [trial(planted, A_1="fail", B_1="pass")], is_sample=True)

    assert matrix.is_clean


def test_a_fault_that_could_not_be_tried_survives():
    matrix = KillMatrix(["A-1"], [Trial(fault(kills=("A-1",)), "iptables", {}, 1.0, "nft is missing")])

    assert matrix.faults_that_survive() == ["f: nft is missing"]


def test_what_stays_red_after_the_last_fault_is_without_cause():
    matrix = KillMatrix(["A-1"], [trial(fault(kills=("A-1",)), A_1="fail")], left_behind="A-1 fail")

    assert matrix.red_without_cause() == ["without any fault, after the last one: A-1 fail"]


def test_a_sample_is_the_same_for_a_seed():
    faults = [fault(f"f{number}") for number in range(40)]

    assert len(sample_faults(faults, 0.1, 7)) == 4
    assert sample_faults(faults, 0.1, 7) == sample_faults(faults[::-1], 0.1, 7)[::-1]
    assert sample_faults(faults, 0.1, 7) != sample_faults(faults, 0.1, 8)
    assert len(sample_faults(faults[:1], 0.1, 7)) == 1
    with pytest.raises(UsageError, match="a sample of 2"):
        sample_faults(faults, 2, 7)


def test_the_matrix_as_a_page_and_as_a_document():
    planted = fault("<f>", kills=("A-1", "B-1"))
    matrix = KillMatrix(["A-1", "B-1"], [trial(planted, A_1="fail", B_1="pass")])
    html, text = page(matrix), document(matrix.as_value())

    assert "&lt;f&gt;" in html
    assert "<f>" not in html
    assert '<td class="pass owed" title="&lt;f&gt;, B-1: green, must be red">' in html
    assert "http" not in html
    assert "| A-1 | <f> [iptables] |" in text
    assert "| B-1 | nothing |" in text


def test_a_completed_trial_is_read_again(tmp_path):
    planted = fault()
    (tmp_path / "trial.json").write_text('{"seconds": 3, "verdicts": [["A-1", "iptables", "fail"]]}')
    kept = _read_trial(planted, "iptables", tmp_path)

    assert kept == Trial(planted, "iptables", {("A-1", "iptables"): "fail"}, 3.0)
    assert _read_trial(planted, "iptables", tmp_path / "elsewhere") is None


def test_every_fault_names_requirements_that_exist():
    known = set(load_requirements())
    for planted in find_faults():
        assert {*planted.kills, *planted.may_redden} <= known, planted.name
        assert planted.kills or not planted.is_defect, f"{planted.name} kills nothing"
        assert planted.is_defect or not planted.kills, planted.name


def test_every_requirement_has_a_fault_that_kills_it():
    killed = {requirement for planted in find_faults() for requirement in planted.kills}

    assert killed == set(load_requirements())


def test_an_unknown_fault_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"fault .nope.: unknown; there are .*snat-on-pod-traffic"):
        find_faults(["nope"])


def test_a_sample_plants_each_fault_in_one_mode_and_both_modes_get_their_share():
    faults = [fault("a", every_mode=True), fault("b"), fault("c", every_mode=True), fault("d", every_mode=True)]
    modes = ("iptables", "nftables")

    names = [(planted.name, mode) for planted, mode in trials_of(faults, modes, one_mode_each=True)]
    assert names == [("a", "iptables"), ("b", "iptables"), ("d", "iptables"), ("c", "nftables")]
    assert len(trials_of(faults, modes, one_mode_each=False)) == 7


def test_a_row_that_is_new_is_judged_in_the_trials_of_an_earlier_run():
    green = [("A-1", ""), ("P-1", "iptables"), ("P-3", "nftables"), ("S-1", "iptables"), ("S-1", "nftables")]
    earlier = Trial(fault(), "iptables", {("S-1", "iptables"): "pass"})

    assert rows_missing(earlier, green, "iptables") == ["A-1", "P-1"]
    assert rows_missing(None, green, "iptables") == []


def test_in_a_sample_a_fault_meets_its_own_rows_and_a_third_of_the_others():
    (planted,) = find_faults(["udp-dropped"])
    some = rows_for(planted, 7)
    touched = {*planted.kills, *planted.may_redden}

    assert touched < set(some)
    known = {row for each in find_faults() for row in each.kills} & published_rows()
    assert len(set(some) - touched) == len(known - touched) // 3
    # Of a row that no whole run has judged yet, nobody knows what reddens it.
    assert not published_rows() & {"HPT-01", "XXX-99"}
    assert rows_for(planted, 7) == some != rows_for(planted, 8)
    assert rows_for(planted, None) == []
