"""Names, numbers and differences of the simulated network: no namespace is made here."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kip_conformance.infra.fabric.compile import compile_state
from kip_conformance.infra.fabric.config import Compiled, Item, Link, NamedSet, NamespaceConfig, Table
from kip_conformance.infra.fabric.difference import changes
from kip_conformance.infra.fabric.memory import Memory
from kip_conformance.infra.fabric.names import Numbers, device, router_device, set_name
from kip_conformance.infra.fabric.router import effective_routes
from kip_conformance.infra.fabric.state import Group, GroupRule, Interface, NetworkState, Route, RouteTable

from .test_fabric_contradictions import GOOD, MAIN


@pytest.mark.parametrize("name", ["a", "node-a", "control-plane", "eni-0123456789abcdef0", "x" * 200])
def test_a_devices_name_fits_and_is_its_own(name):
    assert len(router_device(name)) <= 15
    assert router_device(name) == device("e", name)
    assert router_device(name) != device("p", name)


def test_names_that_end_alike_have_devices_of_their_own():
    names = [f"eni-{number:04x}56789abcdef01" for number in range(4096)]

    assert len({router_device(name) for name in names}) == len(names)


def test_a_sets_name_is_one_that_nft_takes():
    assert set_name("g", "sg-0123") == "g-sg-0123"
    assert set_name("g", 'a "b"; drop') != set_name("g", 'a "b"; drap')
    assert set_name("g", 'a "b"; drop').replace("_", "").isalnum()


def test_a_number_stays_while_its_owner_does():
    first = Numbers()
    assert first.of("tables", ["a", "b", "c"], 100) == {"a": 100, "b": 101, "c": 102}

    second = Numbers(first.given)
    assert second.of("tables", ["x", "c", "b"], 100) == {"b": 101, "c": 102, "x": 100}


def grown(number: int) -> NetworkState:
    """`number` machines in one group that knows itself."""
    names = [f"eni-{index:017x}" for index in range(number)]
    interfaces = tuple(
        Interface(name, name, "b", (f"10.20.{17 + index // 200}.{10 + index % 200}",), ("friends",))
        for index, name in enumerate(names)
    )
    return NetworkState((MAIN_ALONE,), interfaces, (Group("friends", (GroupRule("tcp", "friends", (80, 80)),)),))


MAIN_ALONE = replace(MAIN, route_tables=(RouteTable("one"), RouteTable("two")))


def test_one_more_machine_is_one_element_for_each_that_knows_its_group():
    before = compile_state(grown(50))
    change = changes(before, compile_state(grown(51), before.numbers))

    nft = [text for kind, where, text in change.steps if kind == "nft" and where != "nic-" + f"eni-{50:017x}"]
    assert [text for text in nft if "friends" in text] == ["add element inet nic g-friends { 10.20.17.60 }\n"] * 50
    assert sum(kind == "nft" for kind, _, _ in change.steps) == 52  # with the new NIC and the router's map
    assert {where for kind, where, _ in change.steps if kind == "ip"} == {
        "", "vpc-main", f"m-eni-{50:017x}", f"nic-eni-{50:017x}",
    }  # fmt: skip


def test_one_machine_less_takes_its_elements_and_its_namespaces():
    before = compile_state(grown(3))
    change = changes(before, compile_state(grown(2), before.numbers))

    assert [step[1] for step in change.steps if step[0] == "discard"] == [f"nic-eni-{2:017x}", f"m-eni-{2:017x}"]
    assert ("nft", f"nic-eni-{0:017x}", "delete element inet nic g-friends { 10.20.17.12 }\n") in change.steps
    # Its routes go with the device.
    assert not [step for step in change.steps if step[0] == "ip-try" and step[1] == "vpc-main"]


def test_a_changed_rule_replaces_rules_and_no_elements():
    before = compile_state(grown(3))
    closed = replace(grown(3), groups=(Group("friends", (GroupRule("tcp", "friends", (81, 81)),)),))
    change = changes(before, compile_state(closed, before.numbers))

    assert [step[0] for step in change.steps] == ["nft"] * 3
    for _, _, text in change.steps:
        assert text.startswith("flush table inet nic\n")
        assert "delete" not in text
        assert "elements" not in text
        assert "dport 81-81" in text


def test_the_same_is_nothing():
    first, second = compile_state(GOOD), compile_state(GOOD)

    assert first == second
    assert changes(first, second).steps == ()


def test_an_interface_has_the_link_address_that_it_is_given():
    given = replace(GOOD.interfaces[0], mac="0e:12:34:56:78:9a")
    compiled = compile_state(replace(GOOD, interfaces=(given, *GOOD.interfaces[1:])))

    assert "address 0e:12:34:56:78:9a" in compiled.links["left/machine"].add
    assert "lladdr 0e:12:34:56:78:9a dev ins" in compiled.namespaces["nic-left"].items["neighbour"].add


def test_rules_for_ipv6_let_nobody_pass():
    groups = (Group("open", (GroupRule("tcp", "::/0", (80, 80)),), (GroupRule("all", "::/0"),)),)
    table = compile_state(replace(GOOD, groups=groups)).namespaces["nic-left"].table

    assert table is not None
    assert 'accept comment "open"' not in table.chains
    assert "::" not in table.chains


def config(*items: Item, table: Table | None = None) -> NamespaceConfig:
    return NamespaceConfig({}, {item.add: item for item in items}, table)


def test_what_is_in_place_is_replaced_and_what_cannot_be_is_removed_first():
    route = {"r": Item("route replace 1.0.0.0/8 dev a", "route del 1.0.0.0/8 dev a", "a")}
    rule = {"u": Item("rule add pref 1 lookup 1", "rule del pref 1 lookup 1")}
    moved = {"r": Item("route replace 1.0.0.0/8 dev b", "route del 1.0.0.0/8 dev b", "b")}
    other = {"u": Item("rule add pref 2 lookup 1", "rule del pref 2 lookup 1")}
    before = Compiled({}, {"n": NamespaceConfig({}, route | rule)})
    after = Compiled({}, {"n": NamespaceConfig({}, moved | other)})

    assert changes(before, after).steps == (
        ("ip-try", "n", ["rule del pref 1 lookup 1"]),
        ("ip", "n", ["route replace 1.0.0.0/8 dev b", "rule add pref 2 lookup 1"]),
    )


def test_what_was_on_a_new_link_is_set_again():
    up = Item("link set a up", device="a")
    before = Compiled({"l": Link("link add a mtu 1", (("n", "a"), ("m", "b")))}, {"n": config(up), "m": config()})
    after = Compiled({"l": Link("link add a mtu 2", (("n", "a"), ("m", "b")))}, before.namespaces)

    assert changes(before, after).steps == (
        ("ip-try", "n", ["link del a"]),
        ("ip", "", ["link add a mtu 2"]),
        ("ip", "n", ["link set a up"]),
    )


def test_a_map_gets_its_new_value_after_the_old_one_has_gone():
    tables = [Table("ip t", "", {"m": NamedSet("map", "type mark : mark;", (text,))}) for text in ("1 : 2", "1 : 3")]
    before, after = (Compiled({}, {"n": config(table=table)}) for table in tables)

    (step,) = changes(before, after).steps
    assert step == ("nft", "n", "delete element ip t m { 1 : 2 }\nadd element ip t m { 1 : 3 }\n")


def test_sets_come_and_go_with_the_rules_that_use_them():
    chain = "  chain c {\n    type filter hook input priority 0;\n    ip saddr @%s accept\n  }\n"
    held = NamedSet("set", "type ipv4_addr;", ("1.1.1.1",))
    before, after = (
        Compiled({}, {"n": config(table=Table("ip t", chain % name, {name: held}))}) for name in ("old", "new")
    )

    (step,) = changes(before, after).steps
    assert step[2].startswith("flush table ip t\ndelete set ip t old\ntable ip t {\n  set new {")


def test_what_is_in_doubt_is_told_again():
    before, after = Compiled(), compile_state(GOOD)
    whole = changes(before, after)

    again = changes(before, after, whole.touched)
    assert [step for step in again.steps if step[0] == "make"] == [step for step in whole.steps if step[0] == "make"]
    assert [step for step in again.steps if step[0] == "ip"] == [step for step in whole.steps if step[0] == "ip"]
    # Even where it is right already.
    assert {s[1] for s in changes(after, after, whole.touched).steps if s[0] == "ip"} >= set(after.namespaces)


def test_a_memory_keeps_everything(tmp_path):
    memory, compiled = Memory(tmp_path / "fabric.json"), compile_state(GOOD)
    assert memory.applied() == Compiled()
    assert memory.intended() is None

    memory.intend(compiled)
    assert memory.intended() == compiled
    memory.remember(compiled)
    assert memory.applied() == compiled
    assert memory.intended() is None


def test_static_routes_go_before_prefix_lists_and_those_before_propagated_ones():
    """Amazon VPC User Guide, How route priority works."""
    table = RouteTable(
        "one", (Route("pl", "igw"), Route("192.0.2.8/29", "nat"), Route("192.168.50.0/24", "box")), ("vgw",)
    )
    connection = replace(GOOD.vpn_connections[0], routes=("192.168.50.0/24", "10.20.3.0/24", "172.16.0.0/16"))
    state = replace(GOOD, vpn_connections=(connection,))

    found = {route.destination: route.target for route in effective_routes(state, MAIN, table)}
    assert found == {"192.0.2.8/29": "nat", "192.168.50.0/24": "box", "172.16.0.0/16": "vgw"}
