"""Twenty runs compared: what differs from the first is named, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.repeat import Judged, differences, main, repeat

GOOD = Judged(30.0, 0, {"P2P-01[tcp]": "pass", "SVC-01[nftables-udp]": "pass"}, {}, "facts")
BAD = Judged(
    34.0,
    1,
    {"P2P-01[tcp]": "pass", "SVC-01[nftables-udp]": "fail"},
    {"SVC-01[nftables-udp]": "node-a -> service: expected open, saw timeout"},
)


def log(*runs: Judged) -> tuple[int, list[str]]:
    left, lines = [*runs], []
    return repeat(lambda: left.pop(0), len(runs), lines.append, "-n 2"), lines


def test_steady_runs_are_a_line_each_and_0() -> None:
    code, lines = log(GOOD, GOOD, GOOD)
    assert code == 0
    assert lines[0] == "3 runs of `pytest suites --attach RUN -n 2` on one kept lab"
    assert [line for line in lines if line.startswith("run ")] == [
        "run   1    30.0 s  exit  0  2 pass",
        "run   2    30.0 s  exit  0  2 pass  as the first",
        "run   3    30.0 s  exit  0  2 pass  as the first",
    ]
    assert lines[-2:] == [
        "2 items, 0 of them unsteady; exit codes 0",
        "seconds: median 30.0, shortest 30.0, longest 30.0",
    ]


def test_an_item_that_says_something_else_is_named_with_its_headline() -> None:
    code, lines = log(GOOD, BAD, GOOD, BAD)
    assert code == 1
    told = "SVC-01[nftables-udp]: pass at first, now fail: node-a -> service: expected open, saw timeout"
    assert [line.strip() for line in lines if "now" in line] == [told] * 2
    assert "2 items, 1 of them unsteady; exit codes 0, 1" in lines


def test_an_item_that_is_missing_differs_too() -> None:
    assert differences(GOOD, Judged(1.0, 0, {"P2P-01[tcp]": "pass"}, {})) == [
        "SVC-01[nftables-udp]: pass at first, now not there"
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--attach", "x", "--times", "0"], "--times 0: at least 1"),
        (["--attach", "no-such-lab"], "there is no such lab"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_4(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIP_STATE", str(tmp_path))
    assert main(words) == 4
    assert said in capsys.readouterr().err
