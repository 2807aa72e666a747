"""testinfra over a machine."""

from __future__ import annotations

import subprocess

from kip_conformance.infra.machines.inspection import host_of
from kip_conformance.infra.targets.protocol import Completed


class FakeMachine:
    name = "node-a"
    addresses = ("10.20.1.11",)

    def __init__(self):
        self.ran = []

    def run(self, argv, *, stdin=b"", timeout=30.0):
        self.ran.append((tuple(argv), timeout))
        return Completed(tuple(argv), 0, "für\n".encode(), b"")


def test_commands_reach_the_machine_quoted_and_bounded():
    machine = FakeMachine()
    done = host_of(machine, timeout=2).run("cat %s", "a b")
    assert (done.rc, done.stdout) == (0, "für\n")
    assert machine.ran == [(("sh", "-c", "cat 'a b'"), 2)]


class LocalMachine(FakeMachine):
    def run(self, argv, *, stdin=b"", timeout=30.0):
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout, check=False)
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


def test_testinfras_modules_work_on_it(tmp_path):
    (tmp_path / "there").touch()
    looked = host_of(LocalMachine())
    assert looked.file(str(tmp_path / "there")).exists
    assert not looked.file(str(tmp_path / "gone")).exists
    assert looked.run("exit 3").rc == 3
