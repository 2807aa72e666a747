"""Machines that boot from user data. Sources: Amazon EC2 User Guide, Run commands when you launch an EC2 instance with
user data input; cloud-init's module reference, Write Files and Runcmd. Parsing alone: tests/unit/cloud."""

from __future__ import annotations

import base64
import gzip
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kip_conformance.infra.cloud.boot.machine import InstanceMachine
from kip_conformance.infra.cloud.facts import MetadataOptions
from kip_conformance.infra.fabric.compile import machine_namespace
from kip_conformance.infra.lab.control import Control

from .conftest import facts, lease, processes, zone

END = re.compile(rb"\] boot: finished after \d+\.\d\d s: (.*)\n\Z")


class Booting:
    """The left machine under another name, on the same network."""

    def __init__(self, control: Control, services) -> None:
        self.control, self.services = control, services
        self.machine = InstanceMachine(control, "booted", machine_namespace("left"))

    def start(self, user_data=None, **changes):
        self.services.put(facts("left", user_data=user_data, **changes), zones=[zone()])
        self.machine.start(lease("left"))
        return self.ended()

    def reboot(self):
        seen = len(self.console())
        self.machine.reboot(lease("left"))
        return self.ended(seen)

    def console(self):
        path = self.control.folder.machine("booted") / "console.log"
        return path.read_bytes() if path.exists() else b""

    def ended(self, seen=0):
        """How the boot ended, once it has."""
        found = wait_for(lambda: END.search(self.console()[seen:]), "the console has no last line")
        return found[1].decode()

    def lines(self):
        """What the console says, without its stamps."""
        return [line[15:] for line in self.console().decode().splitlines()]

    def run(self, script):
        return self.control.run(["sh", "-c", script], machine="booted").stdout.decode()


def wait_for(condition: Callable[[], object], what: str, *, within: float = 15.0):
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} (waited {within:g} s)"
        time.sleep(0.005)
    return found


@pytest.fixture
def booting(control, services) -> Iterator[Booting]:
    booting = Booting(control, services)
    yield booting
    booting.machine.terminate()
    services.remove("i-left")


def test_a_script_runs_and_its_output_is_on_the_console(booting):
    script = b"#!/bin/sh\necho from $0; echo wrong >&2; pwd; id -un; printf unfinished\n"

    assert booting.start(script) == "user data ended with exit code 0"

    assert booting.lines()[:-1] == [
        "boot: address 10.20.1.11/24, name servers 10.20.0.2",
        "boot: instance i-left, hostname ip-10-20-1-11",
        "from /var/lib/cloud/instances/i-left/scripts/user-data",
        "wrong",
        "/",
        "root",
        "unfinished",
    ]
    assert re.match(rb"\[    0\.\d{6}\] boot: ", booting.console())


def test_hostname_and_resolver_are_what_metadata_and_lease_say(booting, outside):
    mine = Path("/etc/resolv.conf").read_text()

    booting.start(b"#!/bin/sh\nhostname; getent hosts ip-10-20-16-12.eu-central-1.compute.internal ip-10-20-16-12\n")

    assert booting.lines()[2:-1] == [
        "ip-10-20-1-11",
        "10.20.16.12     ip-10-20-16-12.eu-central-1.compute.internal",
        "10.20.16.12     ip-10-20-16-12.eu-central-1.compute.internal",
    ]
    assert booting.run("cat /etc/resolv.conf") == "search eu-central-1.compute.internal\nnameserver 10.20.0.2\n"
    assert Path("/etc/resolv.conf").read_text() == mine
    assert os.uname().nodename != "ip-10-20-1-11"


def test_only_version_2_of_the_metadata_service_is_needed(booting):
    assert booting.start(options=MetadataOptions(requires_token=True)) == "no user data"


def test_cloud_config_writes_files_and_runs_commands(booting):
    packed = base64.b64encode(gzip.compress(b"packed\n")).decode()
    config = f"""#cloud-config
package_update: true
write_files:
- path: /opt/kip-conformance-test/plain
  content: |
    plain
  permissions: '0640'
  owner: root:daemon
- path: /opt/kip-conformance-test/packed
  encoding: gz+b64
  content: {packed}
- path: /opt/kip-conformance-test/plain
  content: more
  append: true
  owner: root:daemon
  permissions: '0640'
runcmd:
- cd /opt/kip-conformance-test && cat plain packed
- [echo, "$HOME is", two  words]
- pwd
- "false"
- stat -c '%a %U %G' plain
"""

    assert booting.start(config.encode()) == "user data ended with exit code 0"

    assert booting.lines()[2:-1] == [
        "boot: cloud-config: package_update is ignored: only write_files and runcmd are run here",
        "plain",
        "morepacked",
        "$HOME is two  words",
        "/opt/kip-conformance-test",
        "640 root daemon",
    ]
    assert not Path("/opt/kip-conformance-test").exists()


@pytest.mark.parametrize(
    ("user_data", "end"),
    [
        (b"#!/bin/sh\nexit 3\n", "user data failed with exit code 3"),
        (b"#!/bin/sh\nkill -9 $$\n", "user data failed: killed by signal 9"),
        (b"#!/bin/nothing\n", "user data failed: '#!/bin/nothing' cannot be run: No such file or directory"),
        (b"#cloud-config\nruncmd: [exit 4]\n", "user data failed with exit code 4"),
        (b"#cloud-config\nwrite_files: [{path: /proc/x}]\n", "user data had no commands, with 1 problems"),
        (b"#cloud-config\nruncmd: echo\n", "user data had no commands, with 1 problems"),
        (
            base64.b64encode(b"#!/bin/sh\necho no\n"),
            "user data was not run: it is base64 in base64; the API decodes it once",
        ),
        (
            b"Content-Type: multipart/mixed\n",
            "user data was not run: it is MIME, and only #! and #cloud-config are run here",
        ),
    ],
    ids=["exit-code", "killed", "no-interpreter", "command", "file", "no-list", "base64", "mime"],
)
def test_what_fails_is_on_the_console_and_the_machine_lives(booting, user_data, end):
    assert booting.start(user_data) == end

    assert booting.run("echo alive") == "alive\n"
    booting.control.check_daemons()


def test_a_metadata_service_that_is_off_is_on_the_console(booting):
    assert booting.start(b"#!/bin/sh\n", options=MetadataOptions(is_enabled=False)) == "the metadata service is off"


def test_what_user_data_leaves_running_lives_until_the_machine_stops(booting):
    script = b"#!/bin/sh\n(while sleep 0.05; do echo tick; done) &\nsleep 4711 &\necho started\n"

    booting.services.put(facts("left", user_data=script), zones=[zone()])
    booting.machine.start(lease("left"))
    wait_for(lambda: b"finished after" in booting.console(), "the boot did not end")
    seen = booting.console().count(b"tick")

    wait_for(lambda: booting.console().count(b"tick") > seen + 2, "the daemon's output is on the console no more")
    assert len(processes(booting.control, "sleep 4711")) == 1
    booting.machine.stop()
    assert processes(booting.control, "sleep 4711") == []


def test_user_data_runs_once_in_an_instance_s_life(booting):
    script = b"#!/bin/sh\necho once >> /var/count; mount -t tmpfs none /mnt\n"

    first, second = booting.start(script), booting.reboot()
    booting.machine.stop()
    third = booting.start(script)

    assert [first, second, third] == ["user data ended with exit code 0", *["user data ran at the first boot"] * 2]
    assert booting.run("cat /var/count") == "once\n"
    assert len([line for line in booting.lines() if "finished" in line]) == 1  # a start begins the console anew


def test_a_terminated_machine_leaves_nothing(booting):
    booting.start(b"#!/bin/sh\necho mine > /etc/kip-mark\n")
    disk = booting.control.folder.machine("booted")

    booting.machine.terminate()

    assert not disk.exists()
    assert booting.control.status()["machines"].count("booted") == 0
    assert booting.start() == "no user data"
    assert booting.run("cat /etc/kip-mark") == ""
    booting.machine.stop()
    booting.machine.stop()
    booting.machine.terminate()


def piled_up(control):
    """Descriptors and mounts of the supervisor. The least of some counts: a request that is asked holds a few."""
    script = "ls /proc/1/fd | wc -l; wc -l < /proc/1/mountinfo"
    return min([int(n) for n in control.run(["sh", "-c", script]).stdout.split()] for _ in range(10))


def test_twenty_machines_one_after_the_other_pile_nothing_up(booting):
    booting.start(b"#!/bin/sh\nsleep 4711 &\n")
    booting.machine.terminate()
    before = piled_up(booting.control)
    for _ in range(20):
        booting.start(b"#!/bin/sh\nsleep 4711 &\n")
        booting.machine.terminate()

    assert piled_up(booting.control) == before
    assert processes(booting.control, "sleep 4711") == []
