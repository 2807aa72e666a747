"""The summary at the end of a run: what it says of every verdict, in any width, with and without colour."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from kip_conformance.reports.model import Case, ItemResult, RunInfo
from kip_conformance.reports.summary import colour_wanted
from kip_conformance.reports.summary import summary as summary_of

from .few_rows import few_rows

RUN = RunInfo(
    run_id="k7f3",
    target="lab",
    is_lab=True,
    implementation="CNI routed",
    suite_version="0.1.0",
    started="2026-01-05T10:00:00+00:00",
    seed=42,
    modes=("iptables", "nftables"),
    places=("node-a", "node-b"),
    features=("exec",),
    versions={"kubernetes": "1.36.3"},
    command=("pytest", "suites"),
    duration=31.4,
)
UDP = {"mode": "nftables", "protocol": "udp"}
summary = partial(summary_of, registry=few_rows())
DROPPED = Case("node-a", "node-b", "open", "timeout", False, {"kind": "timeout"})
FINE = Case("node-b", "node-a", "open", "open", True, {"kind": "open"})
FAILED = ItemResult(
    "SVC-01", UDP, "fail", "node-a -> node-b: saw timeout", detail="the\ngrid", grids=((DROPPED, FINE),)
)
PASSED = [
    ItemResult(identifier, {}, "pass", grids=((FINE,),))
    for identifier in ("IDN-01", "IDN-02", "P2P-01", "P2P-02", "P2P-03", "N2P-01")
] + [ItemResult("NPT-01", {"mode": mode, "protocol": "tcp"}, "pass") for mode in ("iptables", "nftables")]
OF_EVERY_KIND = [
    *PASSED,
    ItemResult("IDN-04", {"protocol": "tcp"}, "pass", partial=True, reason="host-b is absent"),
    ItemResult("N2P-07", {}, "not-runnable", reason="the target does not declare exec"),
    ItemResult("SVC-01", {"mode": "iptables", "protocol": "udp"}, "harness-error", reason="channel of node-a is lost"),
    FAILED,
]

EXPECTED = """\
LAB RESULT: real Kubernetes components, simulated network (a lab's dataplane).
kip-conformance 0.1.0, run k7f3, CNI routed, seed 42; kubernetes 1.36.3
Profile networking: not conformant
    1 row failed; 1 row of level M not-runnable; 1 row with a harness-error; 1
      row of level M judged in part only

                                                verdict
IDN-01 M  podIP is set, first, and unique       pass
IDN-02 M  a pod's interface carries its podIP   pass
IDN-04 M  no NAT between pods                   pass (partial)
P2P-01 M  TCP between pods on one node          pass
P2P-02 M  TCP between pods across nodes         pass
P2P-03 M  UDP between all pods                  pass
N2P-01 M  a node reaches its own pods           pass
N2P-07 M  logs and exec                         not-runnable

                                                iptables       nftables
SVC-01 M  a ClusterIP reaches each endpoint     harness-error  FAIL
NPT-01 M  a NodePort answers on every node      pass           pass

FAILED: 1 check in 1 row

SVC-01[nftables-udp]  a ClusterIP reaches each endpoint
  node-a -> node-b: saw timeout
  | the
  | grid
  rerun: pytest suites --requirement SVC-01 --proxy-mode nftables -k udp --kip-seed 42
  one pair: pytest suites --requirement SVC-01 --proxy-mode nftables -k udp --pair node-a-to-node-b --kip-seed 42

HARNESS ERRORS: 1 check could not be judged.
These say nothing about the cluster: the harness could not observe it.

SVC-01[iptables-udp]
  channel of node-a is lost
  rerun: pytest suites --requirement SVC-01 --proxy-mode iptables -k udp --kip-seed 42

NOT JUDGED
  N2P-07: the target does not declare exec
  IDN-04[tcp], on some places only: host-b is absent

12 rows: 9 passed (1 partially), 1 failed, 1 harness-error, 1 not-runnable in
  31.4 s; 8 pairs compared, 1 not as expected
Report: out/k7f3/report.yaml
Exit code 1: a MUST, or a requirement of a declared feature, failed.
"""


def lines_of(text: str) -> list[str]:
    return text.splitlines()


def test_a_run_with_every_kind_of_verdict() -> None:
    assert summary(RUN, OF_EVERY_KIND, Path("out/k7f3")) == EXPECTED


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_nothing_but_grids_and_commands_is_wider_than_the_terminal(width: int) -> None:
    for line in lines_of(summary(RUN, OF_EVERY_KIND, Path("out/k7f3"), width=width)):
        assert len(line) <= width or line.startswith(("  rerun: ", "  one pair: ", "  | "))


def test_colour_changes_nothing_but_the_colour() -> None:
    coloured = summary(RUN, OF_EVERY_KIND, Path("out/k7f3"), colour=True)
    assert re.sub(r"\033\[[0-9;]*m", "", coloured).replace(" \n", "\n") == EXPECTED
    assert "\033[1;31mFAIL\033[0m" in coloured


def test_all_passed_is_short_and_says_conformant() -> None:
    whole = [
        *PASSED,
        *(ItemResult(row, {}, "pass") for row in ("IDN-04", "N2P-07")),
        *(ItemResult("SVC-01", {"mode": mode, "protocol": "tcp"}, "pass") for mode in RUN.modes),
    ]
    lines = lines_of(summary(RUN, whole, None))
    assert lines[2] == "Profile networking: conformant"
    assert lines[-2:] == [
        "12 rows: 12 passed, 0 failed in 31.4 s; 6 pairs compared, 0 not as expected",
        "Exit code 0: no requirement failed.",
    ]
    assert not {"FAILED", "HARNESS", "NOT JUDGED"} & {line.partition(" ")[0].rstrip(":") for line in lines}


def test_a_cluster_that_is_no_lab_does_not_claim_to_be_one() -> None:
    assert "LAB" not in summary(replace(RUN, is_lab=False, target="existing"), OF_EVERY_KIND)


def test_a_selection_counts_what_it_left_out_and_does_not_list_it() -> None:
    lines = lines_of(summary(replace(RUN, is_selection_complete=False), [ItemResult("IDN-01", {}, "pass")]))
    assert "    11 rows of level M not run; only a selection was run" in lines
    assert "  11 rows outside of the selection" in lines


def test_a_run_that_ended_early_names_what_it_did_not_reach() -> None:
    text = summary(replace(RUN, aborted="stopped by SIGTERM", is_interrupted=True), PASSED)
    assert "  IDN-04, N2P-07, SVC-01[iptables], SVC-01[nftables]: not reached by this run\n" in text
    assert "The run ended early: stopped by SIGTERM.\n" in text
    assert text.endswith("Exit code 10: not everything could be observed; no verdict on the whole.\n")


def test_items_that_were_never_begun_are_named_and_make_their_row_partial() -> None:
    half = ItemResult("SVC-01", {"mode": "iptables", "protocol": "tcp"}, "pass")
    stopped = replace(
        RUN, aborted="stopped", is_interrupted=True, unreached=("SVC-01[iptables-udp]", "SVC-01[nftables]")
    )
    text = summary(stopped, [half])
    assert re.search(r"^SVC-01 .* pass \(partial\)\s+-$", text, re.MULTILINE)
    assert "  SVC-01[iptables-udp], SVC-01[nftables]: planned, and never begun\n" in text


def test_harness_errors_alone_show_no_failure_and_one_cause_once() -> None:
    reason = "channel of node-a is lost"
    broken = [ItemResult(row, {}, "harness-error", reason=reason) for row in ("IDN-01", "IDN-02", "P2P-01")]
    text = summary(RUN, broken)
    assert "FAIL" not in text
    assert text.count(reason) == 1
    assert "IDN-01, IDN-02, P2P-01\n" in text
    command = "pytest suites --requirement IDN-01 --requirement IDN-02 --requirement P2P-01 --kip-seed 42"
    assert f"  rerun: {command}\n" in text


def test_many_failures_show_ten_grids_every_headline_and_one_command_for_all() -> None:
    many = [
        ItemResult("P2P-03", {"protocol": f"p{number:02}"}, "fail", f"headline {number:02}", detail=f"grid {number:02}")
        for number in range(13)
    ]
    text = summary(RUN, many)
    assert text.count("| grid") == 10
    assert text.count("  headline ") == 13
    assert "The grids of the other 3 are in the report.\n" in text
    assert "rerun all 13: pytest suites --requirement P2P-03 --kip-seed 42\n" in text


def test_a_long_grid_is_cut_and_says_so() -> None:
    text = summary(RUN, [replace(FAILED, detail="\n".join(f"line {number}" for number in range(80)))])
    assert "  | line 59\n  | … 20 more lines in the report\n" in text


def test_a_mode_that_did_not_run_a_row_has_a_dash() -> None:
    assert re.search(r"^SVC-01 .* -              FAIL$", summary(RUN, [*PASSED, FAILED]), re.MULTILINE)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "wanted"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(stream: io.StringIO, environment: dict[str, str], wanted: bool) -> None:
    assert colour_wanted(stream, environment) is wanted
