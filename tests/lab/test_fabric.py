"""The network on real namespaces: what reaches whom, and that reconciling changes only what differs."""

from __future__ import annotations

import dataclasses

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.reconcile import Fabric, reconcile
from kip_conformance.infra.fabric.state import (
    Group,
    GroupRule,
    Interface,
    NetworkState,
    Route,
    RouteTable,
    Subnet,
    Vpc,
)

ANYTHING = Group("open", (GroupRule("all", "10.20.0.0/16"),))
ONLY_PORT_80 = Group("web", (GroupRule("tcp", "10.20.0.0/16", (80, 80)), GroupRule("icmp", "10.20.0.0/16")))


def network(*groups: Group, routes: tuple[Route, ...] = (), check: bool = True) -> NetworkState:
    subnets = (Subnet("a", "10.20.1.0/24", "one"), Subnet("b", "10.20.16.0/22", "two"))
    vpc = Vpc("main", ("10.20.0.0/16",), subnets, (RouteTable("one", routes), RouteTable("two", ())))
    return NetworkState(
        (vpc,),
        (
            Interface("left", "left", "a", ("10.20.1.11",), ("open",), check),
            Interface("right", "right", "b", ("10.20.16.12", "10.20.16.13"), tuple(g.name for g in groups), check),
        ),
        (ANYTHING, *(group for group in groups if group is not ANYTHING)),
    )


@pytest.fixture
def fabric(bare_lab):
    return Fabric(bare_lab, bare_lab.folder.path / "fabric.json")


@pytest.fixture
def connect(bare_lab):
    """(from, address, port) -> open, refused or silent, by a real TCP connect within 0.5 s."""

    def attempt(machine, address, port, source="0.0.0.0"):
        script = (
            "import socket,sys\ns=socket.socket(); s.settimeout(0.5)\ns.bind((sys.argv[3],0))\n"
            "try: s.connect((sys.argv[1],int(sys.argv[2]))); print('open')\n"
            "except TimeoutError: print('silent')\nexcept ConnectionRefusedError: print('refused')\n"
            "except OSError as e: print(e.strerror)"
        )
        argv = ["/usr/bin/python3", "-c", script, address, str(port), source]
        return bare_lab.run(argv, netns=f"m-{machine}").stdout.decode().strip()

    return attempt


def test_machines_of_two_subnets_reach_each_other_through_the_router(fabric, connect):
    reconcile(fabric, network(ANYTHING))

    assert connect("left", "10.20.16.12", 81) == "refused"
    assert connect("right", "10.20.1.11", 81) == "refused"


def test_what_no_group_admits_is_dropped_in_silence(fabric, connect):
    reconcile(fabric, network(ONLY_PORT_80))

    assert connect("left", "10.20.16.12", 80) == "refused"
    assert connect("left", "10.20.16.12", 81) == "silent"
    assert connect("right", "10.20.1.11", 81) == "refused"


def test_an_address_that_nobody_has_is_silent(fabric, connect):
    reconcile(fabric, network(ANYTHING))

    assert connect("left", "10.20.16.99", 80) == "silent"
    assert connect("left", "198.51.100.1", 80) == "silent"


def test_the_source_check_drops_what_the_interface_does_not_own(fabric, connect, bare_lab):
    def spoof():
        bare_lab.run(["ip", "addr", "replace", "10.20.1.77/32", "dev", "lo"], netns="m-left")
        return connect("left", "10.20.16.12", 80, source="10.20.1.77")

    reconcile(fabric, network(ANYTHING))
    assert spoof() == "silent"
    counted = bare_lab.run(["nft", "list", "ruleset"], netns="nic-left").stdout.decode()
    assert 'packets 0 bytes 0 drop comment "source check"' not in counted


def test_a_route_to_an_interface_carries_a_range_that_is_not_the_vpcs(fabric, connect, bare_lab):
    reconcile(fabric, network(ANYTHING, check=False))
    bare_lab.run(["ip", "addr", "add", "10.244.2.1/32", "dev", "lo"], netns="m-right")
    assert connect("left", "10.244.2.1", 80) == "silent"

    reconcile(fabric, network(ANYTHING, routes=(Route("10.244.2.0/25", "right"),), check=False))
    assert connect("left", "10.244.2.1", 80) == "refused"

    reconcile(fabric, network(ANYTHING, check=False))
    assert connect("left", "10.244.2.1", 80) == "silent"


def test_reconciling_the_same_state_does_nothing(fabric):
    assert reconcile(fabric, network(ANYTHING)) > 0
    assert reconcile(fabric, network(ANYTHING)) == 0


def test_another_process_goes_on_where_one_stopped(fabric, bare_lab):
    reconcile(fabric, network(ANYTHING))

    again = Fabric(bare_lab, fabric.memory)
    assert reconcile(again, network(ANYTHING)) == 0
    assert reconcile(again, network(ONLY_PORT_80)) == 1


def test_removing_an_interface_removes_its_namespace_and_routes(fabric, connect, bare_lab):
    state = network(ANYTHING)
    reconcile(fabric, state)

    reconcile(fabric, dataclasses.replace(state, interfaces=state.interfaces[:1]))

    assert connect("left", "10.20.16.12", 80) == "silent"
    assert b"10.20.16.12" not in bare_lab.run(["ip", "route", "show", "table", "all"], netns="vpc-main").stdout
    assert b"nic-right" not in bare_lab.run(["ip", "netns"]).stdout


def test_a_packet_too_large_for_the_path_draws_fragmentation_needed(fabric, bare_lab):
    reconcile(fabric, network(ANYTHING))
    bare_lab.run(["ip", "link", "set", "e-right", "mtu", "1400"], netns="vpc-main")
    script = (
        "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.setsockopt(0,10,2)\n"
        "s.connect(('10.20.16.12',9)); s.send(b'x'*3000)\nfor _ in range(100):\n"
        "  time.sleep(0.01)\n  if s.getsockopt(0,14)==1400: break\nprint(s.getsockopt(0,14))"
    )

    assert bare_lab.run(["/usr/bin/python3", "-c", script], netns="m-left").stdout.strip() == b"1400"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"addresses": ("10.99.0.1",)}, "10.99.0.1 is outside b"),
        ({"addresses": ("10.20.16.13", "10.20.16.13")}, "10.20.16.13 is given twice"),
        ({"subnet": "c"}, "no subnet c"),
        ({"groups": ("missing",)}, "no group missing"),
        ({"addresses": ()}, "has no address"),
    ],
)
def test_a_state_that_contradicts_itself_changes_nothing(fabric, bare_lab, change, message):
    state = network(ANYTHING)
    broken = dataclasses.replace(
        state, interfaces=(state.interfaces[0], dataclasses.replace(state.interfaces[1], **change))
    )
    with pytest.raises(ValueError, match=message):
        reconcile(fabric, broken)
    assert bare_lab.run(["ip", "netns"]).stdout == b""


def test_a_refused_command_says_where_and_what(fabric, bare_lab):
    state = network(ANYTHING)
    reconcile(fabric, state)
    bare_lab.run(["ip", "link", "del", "e-left"], netns="vpc-main")

    with pytest.raises(HarnessError, match=r"network vpc-main: .*e-left(.|\n)*ip -n vpc-main -batch"):
        reconcile(fabric, network(ANYTHING, routes=(Route("10.244.2.0/25", "left"),)))


def test_a_machine_that_runs_keeps_no_namespace_of_another(fabric, bare_lab):
    """A machine's mounts are a copy of the supervisor's, with every namespace that has a name at that moment."""
    state = network(ANYTHING)
    reconcile(fabric, state)
    handle = "import os; print(os.stat('/run/netns/nic-right').st_ino)"
    inode = bare_lab.run(["/usr/bin/python3", "-c", handle]).stdout.decode().strip()
    bare_lab.boot("left", "m-left", {})
    mounts = bare_lab.run(["cat", "/proc/self/mountinfo"], machine="left").stdout.decode()
    assert f"net:[{inode}]" not in mounts
    assert "nic-left" not in mounts

    reconcile(fabric, dataclasses.replace(state, interfaces=state.interfaces[:1]))
    assert b"e-right" not in bare_lab.run(["ip", "link"], netns="vpc-main").stdout
    assert bare_lab.run(["true"], machine="left").returncode == 0
