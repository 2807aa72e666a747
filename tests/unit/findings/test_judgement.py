"""Which hop is blamed for what was seen, and in which words. Machines are recorded outputs."""

from __future__ import annotations

import json

import pytest
from kip_conformance.infra.findings.explain import local
from kip_conformance.infra.findings.finding import Finding
from kip_conformance.infra.findings.judgement import Judgement, Way
from kip_conformance.infra.findings.looks import Look, View
from kip_conformance.infra.findings.path import Leg, way_there
from kip_conformance.infra.findings.repeat import Repeated
from kip_conformance.infra.findings.scene import Case, Deadline, OutOfTime, Scene
from kip_conformance.infra.findings.trace import Stop, trace_of
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.protocol import Completed, Place, PodRef

from .packets import CLIENT, PORT, SERVER, back, icmp, syn

RULE = "table ip byhand {\n\tchain c {\n\t\tip daddr 10.244.2.2 counter packets %d bytes 0 drop\n\t}\n}\n"
MAC = "36:13:32:27:cb:e3"


def link(index, name, *, up=True, **more):
    return {"ifindex": index, "ifname": name, "flags": ["UP"] if up else [], **more}


def look(*links, **outputs):
    return Look({"links": json.dumps(links), "forwarding": "1", **outputs})


class FakeMachine:
    """Answers `ip route get` as told."""

    def __init__(self, name, route):
        self.name, self.addresses, self._route = name, (f"10.20.0.{len(name)}",), route

    def run(self, argv, *, stdin=b"", timeout=30.0):
        if isinstance(self._route, str):
            return Completed(tuple(argv), 2, b"", f"RTNETLINK answers: {self._route}\n".encode())
        return Completed(tuple(argv), 0, json.dumps([self._route]).encode(), b"")


class FakeDriver:
    places = ()

    def addresses(self, place):
        from kip_conformance.infra.probe.answers import Interface

        return (Interface("eth0", 2, 1500, True, MAC, (f"{place.address}/24",)),)


def place(name, address):
    return Place(name, "pod", name, address, (address,), (8080,), "/s", PodRef("ns", name, "uid"))


def judged(captures, seen="timeout", *, routes=None, looks=None, source=None, unseen=()):
    """The finding for what vantages captured. node-a and node-b with veths va and vb, between them "nic"."""
    routes, looks = routes or {}, looks or {}
    client, server = place("node-a", CLIENT), place("node-b", SERVER)
    views = {}
    for key in ("node-a", "NIC of node-b", "node-b"):
        machine = FakeMachine(key, routes.get(key, {"dev": "eth0", "gateway": "10.20.0.1"}))
        is_network = key.startswith("NIC")
        default = look(link(2, "eth0"), link(3, "va"), link(4, "vb"))
        view = View("NIC" if is_network else "machine", "node-b" if is_network else key, "cloud network", machine)
        view.is_network = is_network
        view.before, view.after = looks.get(key, (default, default))
        views[key] = view
    machines = {key: view.machine for key, view in views.items() if not view.is_network}
    scene = Scene(FakeDriver(), machines, lambda client, server: (), "iptables", 0.5, Deadline(15), views)
    target = ProbeTarget("node-b", SERVER, 8080, "tcp", ("node-b",), 8080)
    case = Case(client, "node-b", target, "open", Observation(seen, seen_source=source))
    legs = (Leg("node-a"), Leg("node-b", ("NIC of node-b",)))
    there = way_there(legs, client_interface="va", server_interface="vb", translated_at=None, address=SERVER)
    trace = trace_of(captures, (CLIENT,), PORT, "tcp")
    repeated = Repeated(case.observation, True, 1, trace, {}, dict(unseen))
    return Finding.of("node-a", "node-b", Judgement(case, scene, repeated, Way(client, server, legs, there)).hops())


def as_far_as(stop):
    """Captures of a SYN that came as far as the stop with that number."""
    seen = [
        ("node-a", "va", False),
        ("node-a", "eth0", True),
        ("NIC of node-b", "wire", False),
        ("NIC of node-b", "ins", True),
        ("node-b", "eth0", False),
        ("node-b", "vb", True),
    ]
    captures: dict = {}
    for key, interface, out in seen[: stop + 1]:
        captures.setdefault(key, []).append((interface, syn(out=out)))
    return captures


def test_every_hop_before_the_broken_one_is_ok_and_those_behind_are_unknown():
    finding = judged(as_far_as(2))
    assert [(hop.name, hop.where, hop.ok) for hop in finding.hops] == [
        ("client", "node-a", True),
        ("client machine", "node-a", True),
        ("NIC", "node-b", False),
        ("peer machine", "node-b", None),
        ("listener", "node-b", None),
    ]
    assert (finding.first_broken, finding.owner) == ("NIC", "cloud network")
    assert finding.headline.startswith("first broken hop: NIC on node-b: took the SYN in on wire")


def test_the_rule_that_counted_is_named():
    default = look(link(2, "eth0"), link(4, "vb"), ruleset=RULE % 1)
    after = look(link(2, "eth0"), link(4, "vb"), ruleset=RULE % 2)
    finding = judged(as_far_as(4), looks={"node-b": (default, after)})
    assert "peer machine on node-b" in finding.headline
    assert "dropped it: table ip byhand, chain c: ip daddr 10.244.2.2 drop" in finding.headline
    assert finding.owner == "node (a packet filter)"


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ("Network is unreachable", "has no route to 10.244.2.2 (Network is unreachable)"),
        ("Invalid argument", "has no route to 10.244.2.2 (a blackhole route)"),
        ({"dev": "eth0", "gateway": "10.20.0.1"}, "routes it to eth0 via 10.20.0.1, and not to vb"),
    ],
)
def test_routes_explain_what_nobody_dropped(route, words):
    finding = judged(as_far_as(4), routes={"node-b": route})
    assert words in finding.headline
    assert (finding.first_broken, finding.owner) == ("peer machine", "CNI")


def test_an_interface_that_is_down_explains_more_than_a_route():
    down = look(link(2, "eth0"), link(4, "vb", up=False))
    assert "vb, the pod's interface here, is down" in judged(as_far_as(4), looks={"node-b": (down, down)}).headline


def test_a_machine_that_does_not_forward():
    off = look(link(2, "eth0"), link(4, "vb"), forwarding="0\n")
    assert "does not forward at all" in judged(as_far_as(4), looks={"node-b": (off, off)}).headline


def test_nothing_left_the_client():
    finding = judged({})
    assert (finding.first_broken, finding.hops[0].where) == ("client", "node-a")


def test_no_answer_is_the_listeners_or_that_of_a_wrong_neighbour_entry():
    assert judged(as_far_as(5)).first_broken == "listener"
    entry = json.dumps([{"dst": SERVER, "dev": "vb", "lladdr": "02:00:00:00:00:77", "state": ["PERMANENT"]}])
    wrong = look(link(2, "eth0"), link(4, "vb"), neighbours=entry)
    finding = judged(as_far_as(5), looks={"node-b": (wrong, wrong)})
    assert (finding.first_broken, finding.owner) == ("peer machine", "CNI")
    assert "02:00:00:00:00:77" in finding.headline
    assert MAC in finding.headline


def test_an_answer_that_was_lost_is_lost_where_it_was_last_seen():
    captures = as_far_as(5)
    captures["node-b"].append(("vb", back()))
    finding = judged(captures)
    assert finding.first_broken == "peer machine"
    assert "took the answer to the SYN in on vb" in finding.headline


def test_a_reset_is_from_whoever_sent_it_first():
    captures = as_far_as(4)
    captures["node-b"].append(("eth0", back("RST", "ACK", out=True)))
    finding = judged(captures, "refused")
    assert finding.headline.startswith("first broken hop: peer machine on node-b: answered with a TCP reset")
    captures = as_far_as(5)
    captures["node-b"] += [("vb", back("RST", "ACK")), ("eth0", back("RST", "ACK", out=True))]
    assert judged(captures, "refused").first_broken == "listener"


def test_an_icmp_error_names_its_maker():
    captures = as_far_as(0)
    captures["node-a"].append(("va", icmp("10.244.1.1", (3, 1), syn(), out=True)))
    assert "client machine on node-a: answered with ICMP host unreachable" in judged(captures, "unreachable").headline


def test_a_loop_is_not_blamed_on_whoever_ended_it():
    captures = as_far_as(4)
    captures["node-b"] += [("eth0", syn(out=True)), ("eth0", icmp("10.20.0.6", (11, 0), syn(), out=True))]
    finding = judged(captures, "unreachable")
    assert "sent it out of eth0 instead of vb" in finding.headline


def test_a_changed_source_is_blamed_on_the_machine_that_changed_it():
    captures = as_far_as(4)
    captures["node-b"].append(("vb", syn("10.244.2.1", out=True)))
    finding = judged(captures, "open", source="10.244.2.1")
    assert finding.headline.startswith(
        f"first broken hop: peer machine on node-b: changed the source from {CLIENT} to 10.244.2.1"
    )


def test_a_hosts_own_packet_that_leaves_by_the_wrong_interface():
    view = View("machine", "node-b", "node", FakeMachine("node-b", "Network is unreachable"))
    missing = Stop("node-b", "out", interface="vb")
    seen = trace_of({"node-b": [("eth0", syn(out=True))]}, (CLIENT,), PORT, "tcp").waves("tcp")[0]
    assert "made the SYN and sent it out of eth0 instead of vb" in local(view, seen, missing, SERVER, timeout=1).said
    nothing = trace_of({}, (CLIENT,), PORT, "tcp").waves("tcp")[0]
    assert local(view, nothing, missing, SERVER, timeout=1).said == f"has no route to {SERVER} (Network is unreachable)"


def test_what_could_not_be_looked_at_says_why_and_is_not_blamed():
    finding = judged(as_far_as(1), unseen={"NIC of node-b": "tcpdump is missing"})
    nic = next(hop for hop in finding.hops if hop.name == "NIC")
    assert (nic.ok, nic.said) == (None, "tcpdump is missing")
    assert (finding.first_broken, finding.owner) == ("network", "cloud network")


def test_without_any_capture_nothing_is_blamed():
    nothing = dict.fromkeys(("node-a", "NIC of node-b", "node-b"), "tcpdump is missing")
    finding = judged({}, unseen=nothing)
    assert (finding.first_broken, {hop.ok for hop in finding.hops}) == ("", {None})


def test_a_deadline_shares_out_what_is_left():
    now = [0.0]
    deadline = Deadline(5, clock=lambda: now[0])
    assert deadline.share() == 3.0
    now[0] = 4.0
    assert deadline.share() == 1.0
    now[0] = 5.0
    with pytest.raises(OutOfTime, match="ran out of time"):
        deadline.share()
