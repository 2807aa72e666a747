"""The supervisor: what it starts, and that nothing outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab import cgroups
from kip_conformance.infra.lab.control import Control, start_supervisor
from kip_conformance.infra.lab.machine import LabMachine
from kip_conformance.infra.lab.state import LabFolder, new_run_id
from kip_conformance.infra.targets.lab import remove_lab

from .conftest import assert_nothing_left, lab_processes, wait_until


@pytest.fixture
def machine(bare_lab: Control) -> LabMachine:
    bare_lab.add_netns({"m-one": {"ipv4/ip_forward": "1"}})
    bare_lab.boot("one", "m-one", {"/etc/hosts": "192.0.2.1 elsewhere\n"})
    return LabMachine("one", ("127.0.0.1",), bare_lab)


def test_a_machine_has_its_own_network_processes_name_and_files(machine):
    said = machine.run(["sh", "-c", "hostname; ls /sys/class/net; cat /etc/hosts; ps ax | wc -l; ls /run/netns"])

    assert said.stdout.decode().split() == ["one", "lo", "192.0.2.1", "elsewhere", "5"]


def test_exit_code_input_and_both_outputs_come_back(machine):
    done = machine.run(["sh", "-c", "cat; echo bad >&2; exit 3"], stdin=b"x" * 1_000_000)

    assert (done.returncode, len(done.stdout), done.stderr) == (3, 1_000_000, b"bad\n")


def test_a_command_that_runs_too_long_is_killed_with_its_children(machine, bare_lab):
    with pytest.raises(HarnessError, match=r"still ran after 0\.2 s"):
        machine.run(["sh", "-c", "sleep 4321 & sleep 4321"], timeout=0.2)

    wait_until(
        lambda: b"4321" not in machine.run(["ps", "ax", "-o", "args"]).stdout, within=5, what="its children still run"
    )


def test_a_program_that_does_not_exist_is_an_error_of_the_command(machine):
    done = machine.run(["no-such-program"])

    assert done.returncode == 127
    assert b"no-such-program" in done.stderr


def test_an_unknown_machine_is_named_with_the_known_ones(bare_lab):
    with pytest.raises(HarnessError, match="no machine two; there are none"):
        bare_lab.run(["true"], machine="two")


def test_orphans_are_reaped(machine):
    machine.run(["sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.01 &) ; done"])

    wait_until(lambda: b" Z" not in machine.run(["ps", "ax", "-o", "stat"]).stdout, within=5, what="zombies are left")


def test_a_capture_has_what_was_sent_while_it_ran(machine):
    with machine.capture("icmp", interface="lo") as capture:
        machine.run(["bash", "-c", "exec 3<>/dev/udp/127.0.0.1/9; echo x >&3; echo x >&3; true"])
        wait_until(lambda: len(capture.stop()) > 0, within=5, what="the capture is empty")

    assert capture.stop()[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4")


def test_a_halted_machine_takes_its_daemons_along(machine, bare_lab):
    bare_lab.daemon("sleeper", ["sleep", "1000"], machine="one")
    bare_lab.halt("one")

    wait_until(lambda: bare_lab.daemons()["one", "sleeper"] is not None, within=5, what="the daemon still runs")
    with pytest.raises(HarnessError, match="no machine one"):
        machine.run(["true"])


def test_everything_ends_with_the_lifeline():
    folder = LabFolder.of(new_run_id())
    folder.path.mkdir(parents=True)
    cgroups.create(folder.run_id, ["one"])
    control, lifeline = start_supervisor(folder)
    control.add_netns({"m-one": {}})
    control.boot("one", "m-one", {})
    control.daemon("sleeper", ["sleep", "1000"], machine="one")

    os.close(lifeline)

    assert_nothing_left(folder.run_id)


def test_a_kept_lab_outlives_the_lifeline_and_ends_when_told():
    folder = LabFolder.of(new_run_id())
    folder.path.mkdir(parents=True)
    control, lifeline = start_supervisor(folder)
    control.keep()

    os.close(lifeline)
    assert control.status()["kept"]

    remove_lab(folder)
    assert_nothing_left(folder.run_id)


def test_a_program_that_ends_while_its_client_goes_away_does_no_harm(bare_lab):
    """Both are news of one turn of the supervisor's loop when it was busy meanwhile."""
    for turn in range(5):
        held = bare_lab.open(["sh", "-c", "echo up; read line"])
        os.read(held.stdout, 16)
        bare_lab.status()  # by now it has let go of the program's pipes
        with ThreadPoolExecutor() as pool:
            busy = pool.submit(bare_lab.add_netns, {f"n{turn}-{number}": {} for number in range(50)})
            os.write(held.stdin, b"\n")
            while os.read(held.stdout, 16):
                pass
            subprocess.run(["true"], check=True)  # its end is known to the supervisor a moment after that of its output
            held.close()
            busy.result()

    assert bare_lab.is_alive()


def test_a_killed_supervisor_leaves_only_what_clean_removes():
    folder = LabFolder.of(new_run_id())
    folder.path.mkdir(parents=True)
    cgroups.create(folder.run_id, ["one"])
    control, lifeline = start_supervisor(folder)
    control.add_netns({"m-one": {}})
    control.boot("one", "m-one", {})
    control.daemon("sleeper", ["sleep", "1000"], machine="one")
    pids = [
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and folder.run_id.encode() in _cmdline(path) and b"supervisor" in _cmdline(path)
    ]

    # The supervisor, and the machine's first process, which is a fork of it.
    for pid in sorted(pids)[:1]:
        os.kill(pid, signal.SIGKILL)

    wait_until(lambda: not lab_processes(folder.run_id), within=10, what="processes are left")
    assert not control.is_alive()
    os.close(lifeline)
    remove_lab(folder)
    assert_nothing_left(folder.run_id)


def _cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
