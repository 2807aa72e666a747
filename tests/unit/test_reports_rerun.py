"""The command that repeats a row: pasted into a shell it selects exactly what failed."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from kip_conformance.reports import rerun as module
from kip_conformance.reports.model import Case, ItemResult, RunInfo
from kip_conformance.reports.rerun import command_of, pair_of, rerun

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
    features=(),
    versions={},
    command=("pytest", "suites"),
)
UDP = ItemResult("SVC-01", {"mode": "nftables", "protocol": "udp"}, "fail")
TCP = ItemResult("NPT-01", {"mode": "iptables", "protocol": "tcp"}, "fail")


def test_a_row_with_its_mode_and_protocol() -> None:
    expected = "pytest suites --requirement SVC-01 --proxy-mode nftables -k udp --kip-seed 42"
    assert rerun(RUN, UDP) == expected


def test_one_pair_of_it() -> None:
    assert rerun(RUN, UDP, pair="node-a-to-node-b") == (
        "pytest suites --requirement SVC-01 --proxy-mode nftables -k udp --pair node-a-to-node-b --kip-seed 42"
    )


def test_a_pair_is_offered_only_where_both_ends_are_places() -> None:
    to_service, fine, to_pod = (
        Case("node-a", "web", "open", "timeout", False),
        Case("node-b", "node-a", "open", "open", True),
        Case("node-a", "node-b", "open", "timeout", False),
    )
    assert pair_of(RUN, replace(UDP, grids=((to_service, fine), (to_pod,)))) == "node-a-to-node-b"
    assert pair_of(RUN, replace(UDP, grids=((to_service, fine),))) == ""


def test_a_row_without_parameters() -> None:
    assert rerun(RUN, ItemResult("IDN-01", {}, "fail")) == "pytest suites --requirement IDN-01 --kip-seed 42"


def test_several_rows_never_lose_one() -> None:
    assert rerun(RUN, UDP, TCP, UDP) == (
        "pytest suites --requirement SVC-01 --requirement NPT-01 --proxy-mode nftables,iptables --kip-seed 42"
    )


def test_a_kept_lab_is_attached_to_rather_than_built_again() -> None:
    kept = replace(RUN, attach="k7f3", selection=("--cluster", "lab", "--cni=routed", "--profile", "probe=0.5"))
    expected = "pytest suites --attach k7f3 --profile probe=0.5 --requirement NPT-01 --proxy-mode iptables -k tcp"
    assert rerun(kept, TCP) == f"{expected} --kip-seed 42"


@pytest.mark.parametrize(
    "written", ["--requirement P2P-01 -k tcp", "--requirement=P2P-01 -ktcp", "-k tcp --kip-seed=7"]
)
def test_the_selection_of_the_first_run_narrows_nothing(written: str) -> None:
    narrowed = replace(RUN, selection=("--cni", "routed", *shlex.split(written), "--pair", "node-a-to-node-b"))
    command = rerun(narrowed, ItemResult("IDN-01", {}, "fail"))
    assert command == "pytest suites --cni routed --pair node-a-to-node-b --requirement IDN-01 --kip-seed 42"


def test_values_with_blanks_are_quoted() -> None:
    spaced = replace(RUN, selection=("--cni", "/srv/my cni"))
    assert "--cni '/srv/my cni'" in rerun(spaced, UDP)


def test_a_checkout_is_named_by_path_and_an_installed_wheel_by_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda _: f"{sys.prefix}/bin/pytest")
    checkout = Path(__file__).parents[2]
    assert command_of(checkout) == ("pytest", "suites")
    assert command_of(tmp_path) == ("pytest", "--pyargs", "kip_conformance.suites")


def test_another_pytest_on_path_is_not_the_one_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda _: "/usr/bin/pytest")
    assert command_of(Path(sys.prefix).parent)[0] == f"{Path(sys.prefix).name}/bin/pytest"
    assert command_of(tmp_path)[0] == f"{sys.prefix}/bin/pytest"
