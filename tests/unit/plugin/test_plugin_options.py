"""Options: each bad value is one line and exit code 4, before anything is started or written."""

from __future__ import annotations

import json

import pytest

ROW = '@pytest.mark.requirement("{}")\ndef test_row({}): {}\n'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cluster", "mars"], ["cluster 'mars': unknown target", "fake", "lab"]),
        (["--proxy-mode", "ipvx"], ["--proxy-mode ipvx: unknown", "iptables, nftables"]),
        (["--requirement", "SVC-1"], ["--requirement SVC-1: no such requirement", "did you mean SVC-01"]),
        (["--requirement", "nonsense"], ["--requirement nonsense: no such requirement"]),
        (["--pair", "node-a-to-nowhere"], ["unknown place 'nowhere'", "host-a"]),
        (["--pair", "node-a"], ["expected CLIENT-to-SERVER"]),
        (["--profile", "patience=3"], ["unknown profile key 'patience'", "propagation"]),
        (["--profile", "propagation"], ["expected KEY=VALUE"]),
        (["--profile", "propagation=soon"], ["must be a number of seconds", "'soon'"]),
        (["--profile", "budget=endless"], ["unknown budget set 'endless'", "default, fault"]),
        (["--profile-file", "none.yaml"], ["profile none.yaml: cannot be read"]),
        (["--kip-keep", "maybe"], ["--kip-keep maybe: unknown", "never, failed, always"]),
        (["--kip-live", "maybe"], ["--kip-live maybe: unknown"]),
        (["--kip-seed", "x"], ["--kip-seed x: expected a whole number"]),
        (["--kip-out", "test_rows.py"], ["--kip-out test_rows.py", "no folder"]),
        (["--attach", "nobody"], ["--attach nobody: no such kept cluster", "kept: none"]),
        (["--kip-places", "on-prem-node,cellar"], ["place 'cellar': unknown", "on-prem-node-2"]),
    ],
    ids=lambda value: "-".join(value[0:2]).strip("-") if isinstance(value, list) else None,
)
def test_a_bad_value_is_one_line_and_exit_code_4(world, monkeypatch, arguments, words):
    monkeypatch.setenv("KIP_STATE", str(world.path / "state"))
    world.suite(ROW.format("P2P-01", "", "pass"))
    before = sorted(path.name for path in world.path.iterdir())
    result = world.run(*arguments)
    assert result.ret == 4
    errors = [line for line in result.errlines if line.strip()]
    assert len(errors) == 1
    assert all(word in errors[0] for word in words), errors
    assert [name for name in sorted(path.name for path in world.path.iterdir()) if name not in before] == []
    assert world.events == []


def test_a_profile_file_and_overrides_become_budgets(world):
    (world.path / "slow.yaml").write_text("propagation: 25\nstart: 90\n")
    world.suite(ROW.format("P2P-01", "budgets", "assert (budgets.propagation, budgets.start) == (25, 7)"))
    assert world.run("--profile-file", "slow.yaml", "--profile", "start=7").ret == 0
    assert world.report["environment"]["budgets"] == {"probe_timeout": 1.0, "propagation": 25.0, "start": 7.0}


def test_the_fault_budget_keeps_waits_short(world):
    world.suite(ROW.format("P2P-01", "budgets", "assert budgets.propagation <= 3 and budgets.probe_timeout <= 1"))
    assert world.run("--profile", "budget=fault").ret == 0


def test_pairs_reach_the_driver(world):
    body = "assert kip_run.settings.pairs == (('node-a', 'node-b'), ('node-a-2', 'host-b'))"
    world.suite(ROW.format("P2P-01", "kip_run", body))
    assert world.run("--pair", "node-a-to-node-b", "--pair", "node-a-2-to-host-b").ret == 0
    assert world.report["selection"]["complete"] is False


def test_the_seed_is_the_run_s_and_decides_random_numbers(world):
    world.suite(ROW.format("P2P-01", "rng", "Path(f'{time.time_ns()}.n').write_text(str(rng.random()))"))
    for seed in ("7", "7", "8"):
        assert world.run("--kip-seed", seed).ret == 0
    first, again, other = [path.read_text() for path in sorted(world.path.glob("*.n"))]
    assert first == again != other
    assert world.report["seed"] == 8


def test_results_go_where_kip_out_says_and_the_folder_above_is_made(world):
    world.suite(ROW.format("P2P-01", "", "pass"))
    assert world.run("--kip-out", "deep/results").ret == 0
    made = sorted(path.name for path in (world.path / "deep" / "results").iterdir())
    assert made == [
        "allure-results",
        "durations.json",
        "junit.xml",
        "report.html",
        "report.yaml",
        "summary.txt",
    ]


def test_junit_and_allure_go_where_the_user_says(world):
    world.suite(ROW.format("P2P-01", "", "pass"))
    assert world.run("--junitxml", "mine.xml", "--alluredir", "mine").ret == 0
    assert (world.path / "mine.xml").exists()
    assert list((world.path / "mine").glob("*-result.json"))


def test_without_kip_out_an_installed_suite_writes_below_the_working_folder(world):
    world.suite(ROW.format("P2P-01", "", "pass"))
    world.pytester.runpytest_inprocess("--cluster", "fake", "-p", "no:cacheprovider")
    (run,) = [path for path in (world.path / "kip-out").iterdir() if not path.is_symlink()]
    assert (run / "report.yaml").is_file()
    assert (world.path / "kip-out" / "last").resolve() == run


def test_a_run_says_on_request_where_its_time_went(world):
    world.suite(ROW.format("P2P-01", "", "pass"))
    result = world.run("--profile-run")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["Where the time of run * went: *", "  P2P-01 *"])
    profile = json.loads((world.path / "out" / "profile.json").read_text())
    assert [one["item"] for one in profile["items"]] == ["P2P-01"]
    assert list(profile["workers"]) == ["main"]
    assert [step["step"] for step in profile["steps"]] == ["up: etcd answers", "down"]
    assert "Slowest items" in (world.path / "out" / "profile.txt").read_text()
