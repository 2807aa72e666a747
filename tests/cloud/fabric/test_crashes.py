"""A reconciliation that ends in the middle: whatever the point, the next one makes the network what it should be."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from collections.abc import Sequence

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.compile import compile_state
from kip_conformance.infra.fabric.difference import changes
from kip_conformance.infra.fabric.reconcile import Fabric, reconcile
from kip_conformance.infra.fabric.state import (
    Association,
    GatewayEndpoint,
    Group,
    GroupRule,
    Host,
    Interface,
    InternetGateway,
    Lan,
    NatGateway,
    NetworkState,
    PrefixList,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpnConnection,
    VpnGateway,
)
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.targets.protocol import Completed


class Crash(Exception):
    """What ends a reconciliation in these tests."""


class Mortal:
    """An executor that dies after `left` commands, the way a process does: nothing is undone, nothing is said."""

    def __init__(self, control: Control, left: int) -> None:
        self.control, self.left = control, left

    def run(
        self, argv: Sequence[str], *, netns: str | None = None, stdin: bytes = b"", timeout: float = 30
    ) -> Completed:
        done: list[object] = []
        for kind, where, argument in json.loads(stdin):
            if kind.startswith("ip"):
                # Between two lines of a batch, too.
                taken = argument[: self.left]
                self.left -= len(taken)
                done.append((kind, where, taken))
                if taken == argument:
                    continue
            elif self.left > 0:
                self.left -= 1
                done.append((kind, where, argument))
                continue
            self.control.run(argv, stdin=json.dumps(done).encode(), timeout=timeout)
            raise Crash
        return self.control.run(argv, stdin=stdin, timeout=timeout)


TABLE = RouteTable("one", (Route("0.0.0.0/0", "igw"), Route("pl", "s3")), propagating=("vgw",))
FULL = NetworkState(
    vpcs=(
        Vpc(
            "main",
            ("10.20.0.0/16",),
            (Subnet("a", "10.20.1.0/24", "one"), Subnet("b", "10.20.16.0/22", "two")),
            (TABLE, RouteTable("two", (Route("0.0.0.0/0", "nat"), Route("10.244.0.0/24", "left")))),
        ),
    ),
    interfaces=(
        Interface("left", "left", "a", ("10.20.1.11", "10.20.1.12"), ("friends",), source_dest_check=False),
        Interface("right", "right", "b", ("10.20.16.12",), ("friends",), has_source_routing=True),
    ),
    groups=(Group("friends", (GroupRule("tcp", "friends", (80, 80)), GroupRule("icmp", "pl"))),),
    prefix_lists=(PrefixList("pl", ("192.0.2.8/29",)),),
    internet_gateways=(InternetGateway("igw", "main"),),
    associations=(Association("203.0.113.5", "nat", "10.20.1.5"),),
    nat_gateways=(NatGateway("nat", "a", "10.20.1.5"),),
    vpn_gateways=(VpnGateway("vgw", "main"),),
    vpn_connections=(VpnConnection("vpn", "vgw", "site", ("192.168.50.0/24",)),),
    gateway_endpoints=(GatewayEndpoint("s3", "main", "pl"),),
    lans=(Lan("outside", "198.51.100.0/24", is_public=True), Lan("lan", "192.168.50.0/24")),
    hosts=(Host("web", "outside", "198.51.100.10"), Host("site", "lan", "192.168.50.1", gateway="-")),
)
# Another one with everything changed that can be: an interface gone, one moved, one new, addresses, rules, routes.
OTHER = dataclasses.replace(
    FULL,
    vpcs=(
        dataclasses.replace(
            FULL.vpcs[0],
            route_tables=(
                RouteTable("one", (Route("0.0.0.0/0", "blackhole"), Route("10.244.0.0/24", "new"))),
                RouteTable("two", (Route("0.0.0.0/0", "igw"),)),
                RouteTable("three", (Route("10.20.16.0/22", "new"),)),
            ),
        ),
    ),
    interfaces=(
        dataclasses.replace(FULL.interfaces[0], machine="other", addresses=("10.20.1.11", "10.20.1.14")),
        Interface("new", "other", "a", ("10.20.1.12",), ("friends", "more"), device="eth1", has_source_routing=True),
    ),
    groups=(
        Group("friends", (GroupRule("tcp", "more", (80, 80)), GroupRule("icmp", "pl"))),
        Group("more", (GroupRule("all", "0.0.0.0/0"),), ()),
    ),
    prefix_lists=(PrefixList("pl", ("192.0.2.8/29", "192.0.2.32/29")),),
    associations=(Association("203.0.113.5", "left", "10.20.1.14"),),
    vpn_connections=(dataclasses.replace(FULL.vpn_connections[0], mtu=1400, reports_too_big=False),),
)
NOTHING = NetworkState(())


def held(control: Control, state: NetworkState) -> dict[str, str]:
    """What the kernel has, without what counts, is random or is numbered by chance."""
    names = [*compile_state(state).namespaces] if state.vpcs else []
    asked = "link\\naddr\\nroute show table all\\nrule\\nneigh\\n"
    script = (
        f'for ns in $(ls /run/netns); do echo "== $ns"; printf "{asked}" | ip -n $ns -o -batch -; '
        "nsenter --net=/run/netns/$ns nft -s list ruleset; done"
    )
    said = control.run(["sh", "-c", script], timeout=60).stdout.decode()
    parts: dict[str, str] = {}
    for part in said.split("== ")[1:]:
        key, _, text = part.partition("\n")
        text = re.sub(r"(?m)^\d+: |@\S+|link-netns(id)? \S+|state \S+|,?(NO-CARRIER|LOWER_UP),?|permaddr \S+", "", text)
        parts[key] = "\n".join(sorted(" ".join(line.split()) for line in text.splitlines()))
    assert set(parts) == set(names)
    return parts


@pytest.fixture
def fabric(bare: Control) -> Fabric:
    return Fabric(bare, bare.folder.path / "fabric.json")


def reference(control: Control, state: NetworkState) -> dict[str, str]:
    """The network as made from nothing, in one go; taken away again."""
    fabric = Fabric(control, control.folder.path / "reference.json")
    reconcile(fabric, state)
    found = held(control, state)
    reconcile(fabric, NOTHING)
    return found


@pytest.mark.parametrize(
    ("before", "during", "after"),
    [
        pytest.param(NOTHING, FULL, FULL, id="made"),
        pytest.param(FULL, OTHER, OTHER, id="changed"),
        pytest.param(FULL, OTHER, FULL, id="changed-back"),
        pytest.param(FULL, NOTHING, NOTHING, id="removed"),
        pytest.param(OTHER, NOTHING, FULL, id="removed-for-another"),
    ],
)
def test_after_a_crash_at_any_point_the_next_one_converges(bare, before, during, after) -> None:
    expected = reference(bare, after) if after.vpcs else {}
    known = compile_state(before)
    total = changes(known, compile_state(during, known.numbers)).lines
    chosen = random.Random(f"{before}{during}")
    for number, at in enumerate(sorted(chosen.sample(range(total), 3))):
        memory = bare.folder.path / f"fabric-{at}.json"
        reconcile(Fabric(bare, memory), before)
        with pytest.raises(Crash):
            reconcile(Fabric(Mortal(bare, at), memory), during)
        if number % 2:
            # And once more on the way.
            with pytest.raises(Crash):
                reconcile(Fabric(Mortal(bare, chosen.randrange(8)), memory), during)
        again = Fabric(bare, memory)
        reconcile(again, after)
        assert held(bare, after) == expected, f"after a crash at command {at} of {total}"
        assert reconcile(again, after) == 0
        reconcile(again, NOTHING)


def test_a_refused_command_leaves_the_rest_to_the_next_time(bare: Control, fabric: Fabric) -> None:
    reconcile(fabric, FULL)
    expected = held(bare, FULL)
    reconcile(fabric, NOTHING)
    # A device in the way of one that has to be made.
    bare.add_netns({"vpc-main": {}})
    bare.run(["ip", "link", "add", "igw", "type", "bridge"], netns="vpc-main")
    with pytest.raises(HarnessError, match=r"network links: .*File exists"):
        reconcile(fabric, FULL)

    bare.run(["ip", "link", "del", "igw"], netns="vpc-main")
    reconcile(fabric, FULL)
    assert held(bare, FULL) == expected


def test_a_damaged_memory_is_one_clear_line(bare: Control) -> None:
    memory = bare.folder.path / "fabric.json"
    for text in ("", "{", "[]", '{"version": 1}'):
        memory.write_text(text)
        with pytest.raises(HarnessError, match=r"fabric\.json: .*take the lab down"):
            reconcile(Fabric(bare, memory), FULL)


def test_two_processes_that_reconcile_go_on_where_the_other_stopped(bare: Control) -> None:
    memory = bare.folder.path / "fabric.json"
    one, other = Fabric(bare, memory), Fabric(bare, memory)
    reconcile(one, FULL)
    expected = held(bare, FULL)

    assert reconcile(other, FULL) == 0
    reconcile(other, OTHER)
    reconcile(one, FULL)
    assert held(bare, FULL) == expected
