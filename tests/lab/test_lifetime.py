"""Whatever ends a run, nothing of it is left, and the host is as it was."""

from __future__ import annotations

import contextlib
import difflib
import os
import random
import signal
import subprocess
import tempfile

import pytest
from kip_conformance.infra.lab.state import lab_folders, state_root

from .conftest import assert_nothing_left, host_state, suites_command, wait_until

# Bring-up and the first rows, one moment in each fifth of that time.
_CHANCE = random.Random(20261121)
MOMENTS = [_CHANCE.uniform(start, start + 3) for start in (0.3, 3.3, 6.3, 9.3, 12.3)]

# One of each kind: pods of its own, HostPorts, hosts, captures, settings read, a changed and a restarted proxy, DNS.
EVERY_WAY = (
    "IDN-09",
    "P2P-02",
    "N2P-01",
    "HPT-01",
    "MTU-02",
    "PXY-05",
    "PXY-03",
    "SVC-05",
    "NPT-01",
    "DNS-01",
    "CNI-02",
)


def start_run(tmp_path, workers="2", *options) -> subprocess.Popen[bytes]:
    """A whole run, lab and all, in a session of its own."""
    with (tmp_path / "output.txt").open("wb") as output:
        return subprocess.Popen(
            # A shell starts its background jobs with SIGINT ignored, and these tests may be one.
            [
                "env",
                "--default-signal=INT",
                *suites_command("--cluster", "lab", "-n", workers, "--kip-out", str(tmp_path / "out"), *options),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=tmp_path,
        )


def labs_now() -> set[str]:
    return {folder.run_id for folder in lab_folders()}


@pytest.fixture
def unchanged_host(monkeypatch):
    """Fails when the host differs after the test. Labs that others have on this machine may come and go meanwhile."""
    before, others = host_state(), str(state_root())
    with monkeypatch.context() as ours, tempfile.TemporaryDirectory(prefix="kip-") as state:
        ours.setenv("KIP_STATE", f"{state}/s")
        yield
    after = host_state()
    lines = [
        f"{name} {line}"
        for name in before
        for line in difflib.ndiff(before[name].splitlines(), after[name].splitlines())
        if line[0] in "+-" and line[2:] != others
    ]
    assert not lines, "the host was changed:\n" + "\n".join(lines)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"after-{moment:.1f}s")
def test_a_run_that_is_killed_leaves_nothing(tmp_path, unchanged_host, moment):
    run = start_run(tmp_path)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(timeout=moment)
    assert run.poll() is None, f"the run ended by itself: {(tmp_path / 'output.txt').read_text()}"
    ours = labs_now()
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    # Of a lab whose folder has gone already, groups could be left as well.
    for run_id in ours | labs_now():
        assert_nothing_left(run_id)
    wait_until(lambda: not labs_now(), within=20, what="a lab's folder is left")


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop_tears_its_lab_down(tmp_path, unchanged_host, number, workers):
    run = start_run(tmp_path, workers)
    wait_until(lambda: b"] pass" in (tmp_path / "output.txt").read_bytes(), within=60, what="the run never began")
    (run_id,) = labs_now()

    run.send_signal(number)

    # What is under way is judged to its end, which takes its time while other tests have labs on the machine.
    assert run.wait(timeout=180) == 10
    assert_nothing_left(run_id, within=0)


def test_a_whole_run_leaves_the_host_as_it_was(tmp_path, unchanged_host):
    rows = [part for identifier in EVERY_WAY for part in ("--requirement", identifier)]
    run = start_run(tmp_path, "2", *rows)
    wait_until(lambda: b"] pass" in (tmp_path / "output.txt").read_bytes(), within=60, what="the run never began")
    (run_id,) = labs_now()

    assert run.wait(timeout=400) == 0, (tmp_path / "output.txt").read_text()
    assert_nothing_left(run_id, within=0)
