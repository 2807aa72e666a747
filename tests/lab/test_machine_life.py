"""A machine that is stopped and started again: what stays, what goes, and that nothing piles up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.control import Control

from .conftest import lab_processes


def boot(control: Control) -> None:
    control.boot("one", "m-one", {"/etc/hosts": "192.0.2.1 elsewhere\n"}, has_own_root=True)


@pytest.fixture
def control(bare_lab: Control) -> Control:
    bare_lab.add_netns({"m-one": {}})
    boot(bare_lab)
    return bare_lab


def said(control: Control, script: str) -> str:
    return control.run(["sh", "-c", script], machine="one").stdout.decode()


def test_what_a_machine_with_its_own_root_writes_is_on_its_disk_alone(control):
    places = ("/etc/kip-mark", "/kip-mark", "/tmp/kip-mark", "/usr/local/bin/kip-mark", "/var/cache/kip-mark")

    written = said(control, f"for place in {' '.join(places)}; do echo own > $place && cat $place; done")

    assert written == "own\n" * len(places)
    assert [place for place in places if os.path.exists(place)] == []
    assert said(control, "cat /etc/hosts") == "192.0.2.1 elsewhere\n"
    assert said(control, "stat -c %a /tmp") == "1777\n"


def test_a_machine_with_its_own_root_sees_the_lab_folder_itself(control):
    (control.folder.path / "word").write_text("from outside\n")

    assert said(control, f"cat {control.folder.path}/word") == "from outside\n"


def test_what_is_mounted_on_the_host_is_seen_and_never_written(control):
    control.halt("one")
    # In the supervisor's mount namespace, which stands for the host's here. No overlay can be made over a proc.
    script = "mount -t tmpfs none /mnt && echo outside > /mnt/word && mkdir /mnt/p && mount -t proc proc /mnt/p"
    assert control.run(["sh", "-c", script]).returncode == 0
    boot(control)

    assert said(control, "cat /mnt/word; echo inside > /mnt/word; cat /mnt/word") == "outside\ninside\n"
    assert "Linux" in said(control, "cat /mnt/p/version")
    assert "Read-only" in said(control, "sh -c 'echo 0 > /mnt/p/sys/kernel/panic' 2>&1")
    assert control.run(["cat", "/mnt/word"]).stdout == b"outside\n"


def test_programs_start_in_the_machine_s_root(control):
    said(control, "echo here > kip-mark")

    assert said(control, "cat /kip-mark") == "here\n"
    assert not Path("/kip-mark").exists()


def test_disk_and_network_outlive_a_stop(control):
    said(control, "echo kept > /etc/kip-mark; echo lost > /run/kip-mark; ip link add left type veth peer name right")

    control.halt("one")
    boot(control)

    assert said(control, "cat /etc/kip-mark; cat /run/kip-mark; ls /sys/class/net") == "kept\nleft\nlo\nright\n"


def test_a_halted_machine_is_gone_when_halt_returns_and_misses_no_daemon(control):
    control.daemon("sleeper", ["sleep", "1000"], machine="one")
    control.run(["sh", "-c", "(setsid sleep 4321; setsid sleep 4322) >/dev/null 2>&1 &"], machine="one")

    control.halt("one")

    assert control.status()["machines"] == []
    assert control.daemons()["one", "sleeper"] is not None
    control.check_daemons()
    with pytest.raises(HarnessError, match="no machine one"):
        control.halt("one")


def test_twenty_stops_and_starts_leave_nothing_behind(control):
    control.daemon("sleeper", ["sleep", "1000"], machine="one")
    control.halt("one")
    boot(control)
    before = piled_up(control)

    for _ in range(20):
        control.daemon("sleeper", ["sleep", "1000"], machine="one")
        control.run(["sh", "-c", "setsid sleep 4321 >/dev/null 2>&1 & mount -t tmpfs none /mnt"], machine="one")
        control.halt("one")
        boot(control)

    assert piled_up(control) == before
    assert [line for line in lab_processes(control.folder.run_id) if "sleep" in line] == []


def test_a_machine_s_network_goes_when_it_is_removed(control):
    control.halt("one")
    control.remove_netns(["m-one"])

    assert "m-one" not in control.run(["ls", "/run/netns"]).stdout.decode()
    assert piled_up(control)["network namespaces"] == 0


def piled_up(control: Control) -> dict[str, int]:
    """What a stop could leave in the supervisor. The least of some counts: a request that is asked holds a few."""
    scripts = {
        "descriptors": "ls /proc/1/fd | wc -l",
        "mounts": "wc -l < /proc/1/mountinfo",
        "children": "ps --no-headers --ppid 1 -o args | grep -vc 'ps --no-headers'",
        "network namespaces": "grep -c ' /run/netns/' /proc/1/mountinfo",
    }
    return {what: min(counted(control, script) for _ in range(10)) for what, script in scripts.items()}


def counted(control: Control, script: str) -> int:
    return int(control.run(["sh", "-c", script]).stdout)
