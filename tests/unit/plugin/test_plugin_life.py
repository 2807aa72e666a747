"""The life of a run: up before the first item, down after the last, whatever happens between; phases in order."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

SERVICES = """
@pytest.mark.requirement("SVC-01")
def test_service(mode, protocol):
    with open("events.txt", "a") as stream:
        stream.write(f"item {mode} {protocol}\\n")

@pytest.mark.requirement("P2P-01")
def test_pods():
    with open("events.txt", "a") as stream:
        stream.write("item once\\n")
"""
ROW = '@pytest.mark.requirement("P2P-01")\ndef test_row(): {}\n'


def test_phases_follow_each_other_and_each_switches_once(world):
    world.suite(SERVICES)
    assert world.run().ret == 0
    assert world.events == [
        "up",
        "item iptables tcp",
        "item iptables udp",
        "item once",
        "switch nftables",
        "item nftables tcp",
        "item nftables udp",
        "down",
    ]


def test_a_switch_that_fails_makes_its_phase_harness_errors_and_no_other(world):
    world.tell(switch_fails=["nftables"])
    world.suite(SERVICES)
    assert world.run().ret == 10
    assert world.verdicts == {"P2P-01": "pass", "SVC-01[iptables]": "pass", "SVC-01[nftables]": "harness-error"}
    assert world.events.count("switch nftables") == 1
    assert "the service proxy could not be switched to nftables: the canary never answered" in {
        item.get("reason") for item in world.items
    }


def test_no_item_of_a_mode_means_no_switch(world):
    world.suite(ROW.format("pass"))
    world.run()
    assert world.events == ["up", "down"]


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("fault", "tcpdump is missing: apt-get install tcpdump"),
        ("bug", "the cluster did not come up: ValueError: no such thing"),
        ("interrupt", "interrupted while the cluster was coming up"),
    ],
)
def test_a_cluster_that_does_not_come_up_ends_the_run_with_10_and_leaves_nothing(world, how, line):
    world.tell(up=how)
    world.suite(ROW.format("pass"))
    result = world.run()
    assert result.ret == 10
    assert [text for text in (*result.errlines, *result.outlines) if line in text] == [f"Exit: {line}"]
    assert not (world.path / "out").exists()


def test_a_tear_down_that_fails_is_said_and_ends_with_10(world):
    world.tell(down="fault")
    world.suite(ROW.format("pass"))
    result = world.run()
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*was not taken down in order: a process would not end*"])
    assert world.verdicts == {"P2P-01": "pass"}


@pytest.mark.parametrize(
    ("keep", "body", "last"),
    [
        ("never", "assert False", "down"),
        ("failed", "pass", "down"),
        ("failed", "assert False", "keep"),
        ("failed", "raise OSError", "keep"),
        ("always", "pass", "keep"),
    ],
)
def test_a_cluster_is_kept_when_the_user_says_so(world, keep, body, last):
    world.suite(ROW.format(body))
    result = world.run("--kip-keep", keep)
    assert world.events == ["up", last]
    if last == "keep":
        result.stdout.fnmatch_lines(["*The cluster is kept (run *", "kip-conformance clean --run *"])
        if world.items[0]["verdict"] != "pass":
            assert f"--attach {world.report['run']}" in world.items[0]["reproduce"]


def test_attaching_takes_nothing_up_or_down_and_keeps_to_the_kept_cluster_s_modes(world, monkeypatch):
    state = world.path / "state"
    (state / "kept1").mkdir(parents=True)
    monkeypatch.setenv("KIP_STATE", str(state))
    make = "import fake; print(fake.describe('kept1').to_json())"
    text = subprocess.check_output([sys.executable, "-c", make], cwd=world.path / "kip-world", text=True)
    (state / "kept1" / "description.json").write_text(text)
    world.suite(SERVICES)
    assert world.run("--attach", "kept1").ret == 0
    assert [event for event in world.events if not event.startswith("item")] == ["attach main", "switch nftables"]
    result = world.run("--attach", "kept1", "--cluster", "lab")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*that is a fake cluster; leave out --cluster lab*"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_takes_the_cluster_down_and_reports_what_was_judged(world, number):
    world.suite(
        '@pytest.mark.requirement("P2P-01")\ndef test_one(): pass\n'
        '@pytest.mark.requirement("P2P-02")\ndef test_two(): Path("here.txt").touch(); time.sleep(60)\n'
    )
    # Whoever runs these tests in the background had SIGINT ignored, and that is inherited.
    argv = ["env", "--default-signal", sys.executable, "-m", "pytest", *world.arguments()]
    output = world.path / "output.txt"
    with output.open("wb") as stream, subprocess.Popen(argv, cwd=world.path, stdout=stream, stderr=stream) as process:
        try:
            deadline = time.monotonic() + 30
            while not (world.path / "here.txt").exists() and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(number)
            process.wait(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 10, output.read_text()
    assert world.events == ["up", "down"]
    assert world.verdicts == {"P2P-01": "pass"}
    assert world.report["aborted"] == ("interrupted" if number == signal.SIGINT else number.name)


def test_stopping_at_the_first_failure_is_exit_code_1(world):
    world.suite(
        '@pytest.mark.requirement("P2P-01")\ndef test_one(): assert False\n'
        '@pytest.mark.requirement("P2P-02")\ndef test_two(): pass\n'
    )
    assert world.run("-x").ret == 1
    assert world.report["aborted"] == "stopping after 1 failures"
    assert world.events == ["up", "down"]


def test_what_an_interrupted_run_may_have_left_in_a_kept_cluster_is_swept(world, monkeypatch):
    swept = []
    monkeypatch.setattr("kip_conformance.infra.workloads.sweep.sweep", lambda kubeconfig, run: swept.append(run))
    world.suite(ROW.format("raise KeyboardInterrupt"))
    world.run("--kip-keep", "always")
    assert world.events == ["up", "keep"]
    assert len(swept) == 1
    world.run("--kip-keep", "never")
    assert len(swept) == 1


def test_nothing_of_the_run_s_own_bookkeeping_is_left(world):
    world.suite(SERVICES)
    world.run()
    assert sorted(path.name for path in (world.path / "out").iterdir()) == [
        "allure-results",
        "durations.json",
        "junit.xml",
        "report.html",
        "report.yaml",
        "summary.txt",
    ]
