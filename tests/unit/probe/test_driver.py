"""The driver against real probers: observations, and what must never be taken for one."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from kip_conformance.infra.errors import HarnessError, UsageError
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open
from kip_conformance.infra.probe.choice import attempts_for
from kip_conformance.infra.probe.driver import Driver, ProbeTarget
from kip_conformance.infra.probe.observation import NOT_VOUCHED, REQUEST_ARRIVED

PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])


def towards(resident, address, port, protocol, **options):
    """A target at another address that the resident is expected to answer."""
    options.setdefault("backend_port", resident.place.ports[0])
    return ProbeTarget("elsewhere", address, port, protocol, (resident.place.name,), **options)


@PROTOCOLS
def test_every_pair_is_open_with_peer_and_source(village, driver, protocol):
    grid = driver.all(driver.places, driver.places, protocol)
    assert len(grid) == 6
    assert grid == every_pair(
        driver.places, driver.places, lambda _client, server: is_open(to=server, source="127.0.0.1")
    )
    assert all(0 < observation.rtt < 1 for observation in grid.values())


@PROTOCOLS
@pytest.mark.parametrize(("size", "reply_size"), [(2000, 0), (0, 2000), (60000, 60000)])
def test_payloads_are_verified_at_both_ends(village, driver, protocol, size, reply_size):
    grid = driver.all(driver.places[:1], driver.places, protocol, size=size, reply_size=reply_size)
    assert grid == every_pair(driver.places[:1], driver.places, is_open())


def test_a_megabyte_of_tcp_goes_both_ways(village, driver):
    target = driver.at("bob").tcp()
    assert driver.one(driver.at("ada"), target, size=1 << 20, reply_size=1 << 20, timeout=10).is_open


def test_a_closed_port_is_refused_and_denied(village, driver_of, mute):
    driver = driver_of(*village)
    observation = driver.one(driver.at("ada"), towards(village[1], "127.0.0.8", mute[1], "tcp"))
    assert observation.kind == "refused"
    assert is_denied(observation)
    assert not is_open()(observation)


@PROTOCOLS
def test_silence_is_a_timeout_after_two_attempts_and_one_window(village, driver, mute, protocol):
    driver.open()
    start = time.monotonic()
    observation = driver.one(driver.at("ada"), towards(village[1], *mute, protocol), timeout=0.3)
    assert time.monotonic() - start >= 0.3
    assert observation.kind == "timeout"
    assert is_denied(observation)


@PROTOCOLS
def test_an_answer_from_another_place_is_a_wrong_peer(village, driver, protocol):
    cyd = village[2].place
    observation = driver.one(driver.at("ada"), towards(village[1], cyd.address, cyd.ports[0], protocol))
    assert (observation.kind, observation.peer) == ("wrong_peer", "cyd")
    assert not is_denied(observation)


def test_another_prober_under_the_same_name_is_a_wrong_peer(village, resident, driver):
    impostor = resident("bob")
    target = towards(village[1], impostor.place.address, impostor.place.ports[0], "tcp")
    observation = driver.one(driver.at("ada"), target)
    assert observation.kind == "wrong_peer"
    assert "same name" in observation.detail


def test_a_killed_prober_is_a_harness_error_that_names_the_place(village, resident, driver_of):
    gone = resident("gone")
    driver = driver_of(*village, gone)
    driver.open()
    gone.kill()
    with pytest.raises(HarnessError, match="place gone: no verdict"):
        driver.all(driver.places, driver.places, "tcp", timeout=0.3)


def test_a_frozen_prober_is_a_harness_error_and_not_denied(village, resident, driver_of, monkeypatch):
    monkeypatch.setattr("kip_conformance.infra.probe.link._SILENCE", 0.3)
    monkeypatch.setattr("kip_conformance.infra.probe.link._HEARTBEAT", 0.1)
    frozen = resident("frozen")
    driver = driver_of(*village, frozen)
    driver.open()
    frozen.signal(signal.SIGSTOP)
    with pytest.raises(HarnessError, match=r"place frozen: .*(frozen|silent)"):
        driver.one(driver.at("ada"), driver.at("frozen").tcp(), timeout=0.3)


@PROTOCOLS
def test_a_dead_listener_is_a_harness_error_that_names_it(village, resident, driver_of, protocol):
    deaf = resident("deaf")
    driver = driver_of(*village, deaf)
    port = deaf.place.ports[0]
    driver.set_listener(deaf.place, protocol, port, is_open=False)
    with pytest.raises(HarnessError, match=f"listener {protocol} {port} of place deaf does not answer its own prober"):
        driver.one(
            driver.at("ada"), driver.at("deaf").tcp() if protocol == "tcp" else driver.at("deaf").udp(), timeout=0.3
        )
    driver.set_listener(deaf.place, protocol, port, is_open=True)
    assert driver.all([village[0].place], [deaf.place], protocol) == every_pair(
        [village[0].place], [deaf.place], is_open()
    )


def test_a_dead_listener_does_not_matter_where_everything_is_open(village, resident, driver_of):
    deaf = resident("deaf")
    driver = driver_of(*village, deaf)
    driver.set_listener(deaf.place, "tcp", deaf.place.ports[1], is_open=False)
    target = ProbeTarget("service", deaf.place.address, deaf.place.ports[0], "tcp", ("deaf",))
    assert driver.one(driver.at("ada"), target).is_open


def test_a_request_that_arrived_is_neither_denied_nor_open(village, driver, forwarder):
    address = forwarder("127.0.0.1", village[1].place.ports[0])
    observation = driver.one(driver.at("ada"), towards(village[1], *address, "udp"), timeout=0.3)
    assert observation.kind == "timeout"
    assert REQUEST_ARRIVED in observation.detail
    assert not is_open()(observation)
    with pytest.raises(HarnessError, match="no denial"):
        is_denied(observation)


def test_without_anybody_to_vouch_silence_is_no_denial(village, driver, mute):
    observation = driver.one(driver.at("ada"), ProbeTarget("void", *mute, "udp", ()), timeout=0.2)
    assert NOT_VOUCHED in observation.detail
    with pytest.raises(HarnessError, match="no denial"):
        is_denied(observation)


def test_a_name_that_does_not_exist_is_no_name(resident, driver_of, tmp_path, name_server):
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    one = resident("one", extra=["--resolv-conf", str(conf)])
    driver = driver_of(one)
    observation = driver.one(driver.at("one"), ProbeTarget("named", "no.such.name.invalid", 80, "tcp", ()), timeout=0.3)
    assert observation.kind == "no_name"
    assert "no.such.name.invalid" in observation.detail


def test_a_probe_that_cannot_be_sent_is_a_harness_error(village, driver):
    with pytest.raises(HarnessError, match=r"could not probe .*EADDRNOTAVAIL"):
        driver.one(driver.at("ada"), driver.at("bob").tcp(), bind="192.0.2.77")


def test_a_bad_request_is_a_harness_error_and_is_not_repeated(village, driver):
    with pytest.raises(HarnessError, match="unknown field colour"):
        driver.one(driver.at("ada"), driver.at("bob").tcp(), colour="blue")


@PROTOCOLS
def test_through_shows_the_target_and_each_peer(village, driver, balancer, protocol):
    address = balancer([(one.place.address, one.place.ports[0]) for one in village[1:]], protocol)
    service = ProbeTarget("service", *address, protocol, ("bob", "cyd"))
    grid = driver.through([driver.at("ada")], service)
    assert list(grid) == [("ada", "service"), ("ada", "bob"), ("ada", "cyd")]
    assert all(observation.is_open for observation in grid.values())


def test_a_peer_that_is_never_chosen_shows(village, driver):
    bob = village[1].place
    grid = driver.through([driver.at("ada")], ProbeTarget("service", bob.address, bob.ports[0], "tcp", ("bob", "cyd")))
    assert grid["ada", "bob"].is_open
    assert str(grid["ada", "cyd"]) == "wrong_peer(none: never chosen in 31 probes)"


def test_through_shows_the_worst_attempt(village, driver, balancer, mute):
    bob = village[1].place
    address = balancer([(bob.address, bob.ports[0]), mute], "tcp")
    target = ProbeTarget("service", *address, "tcp", ("bob",))
    grid = driver.through([driver.at("ada")], target, attempts=6, timeout=0.2)
    assert grid["ada", "bob"].is_open
    assert grid["ada", "service"].kind == "timeout"
    assert grid["ada", "service"].detail.endswith("of 6 attempts: timeout 3")


def test_in_doubt_a_series_is_asked_again_as_a_whole(village, driver, balancer, mute, monkeypatch):
    """Repeating the unanswered attempts alone would let the balancer choose the live peer this time."""
    monkeypatch.setattr("kip_conformance.infra.probe.rounds.Round.ran_late", lambda *_: True)
    bob = village[1].place
    address = balancer([(bob.address, bob.ports[0]), mute], "tcp")
    grid = driver.through(
        [driver.at("ada")], ProbeTarget("service", *address, "tcp", ("bob",)), attempts=6, timeout=0.2
    )
    assert grid["ada", "service"].detail.endswith("of 6 attempts: timeout 3")


@pytest.mark.parametrize(("peers", "least"), [(1, 3), (2, 31), (4, 77), (8, 171)])
def test_attempts_make_a_missed_peer_rarer_than_one_in_a_billion(peers, least):
    attempts = attempts_for(peers)
    assert attempts == least
    assert peers * (1 - 1 / peers) ** attempts < 1e-9


def test_probes_read_as_they_are_said(village, driver):
    ada, bob = driver.at("ada"), driver.at(village[1].place)
    assert is_open(to=bob, source=ada)(ada >> bob.tcp())
    assert is_open(to=bob, source=ada)(ada >> bob.udp(village[1].place.ports[1]))
    with pytest.raises(UsageError, match="known are ada, bob, cyd"):
        driver.at("dan")


def test_pairs_restrict_every_grid(village, driver_of):
    driver = driver_of(*village, pairs=[("ada", "bob")])
    grid = driver.all(driver.places, driver.places, "tcp")
    assert list(grid) == [("ada", "bob")]
    assert grid.is_restricted
    assert grid == every_pair(driver.places, driver.places, is_open())
    assert not driver_of(*village, pairs=[]).all(driver.places, driver.places, "tcp")


def test_batches_of_several_threads_overlap(village, driver):
    grids, errors = [], []

    def probe():
        try:
            grids.extend(driver.all(driver.places, driver.places, "tcp") for _ in range(5))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=probe) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(grids) == 20
    assert all(observation.is_open for grid in grids for observation in grid.values())


def test_a_channel_is_reopened_once_and_the_batch_run_again(village, driver_of, machine):
    driver = driver_of(village[0])
    driver.open()
    machine.held[0].process.kill()
    ada = driver.at("ada")
    target = ProbeTarget("itself", "127.0.0.1", village[0].place.ports[0], "tcp", ("ada",))
    while len(machine.held) == 1:  # until the prober has noticed, it may still answer on the old one
        assert (ada >> target).is_open
    assert len(machine.held) == 2


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", "ended"),
        ("print('not json', flush=True)", "not ours: 'not json'"),
        ("print('[1, 2]', flush=True)", "not ours"),
        ("import json; print(json.dumps({'error': 'prober at X: died'}), flush=True)", "prober at X: died"),
        ("print('{\"hel', end='', flush=True)", "after writing"),
    ],
)
def test_a_channel_that_says_nothing_useful_is_a_harness_error(village, driver_of, machine, script, expected):
    machine.argv = lambda argv: [argv[0], "-c", script]
    driver = driver_of(village[0])
    with pytest.raises(HarnessError, match="place ada: no verdict") as caught:
        driver.open()
    assert expected in str(caught.value)
    assert len(machine.held) == 2


_HELLO = "{'hello': %s, 'name': '%s', 'instance': 'x'}"
_ANSWERS_EMPTY = """
import json, sys
print(json.dumps({hello}), flush=True)
for line in sys.stdin:
    print(json.dumps({{"id": json.loads(line)["id"], "results": []}}), flush=True)
"""


def test_an_empty_answer_is_a_harness_error(village, driver_of, machine):
    machine.argv = lambda argv: [argv[0], "-c", _ANSWERS_EMPTY.format(hello=_HELLO % (1, "ada"))]
    driver = driver_of(village[0])
    with pytest.raises(HarnessError, match="0 results for 1 probes"):
        driver.one(driver.at("ada"), ProbeTarget("void", "127.0.0.1", 9, "tcp", ()))


@pytest.mark.parametrize(
    ("hello", "expected"),
    [(_HELLO % (99, "ada"), "protocol 99"), (_HELLO % (1, "eve"), "leads to the prober of eve")],
)
def test_a_strange_hello_is_a_harness_error(village, driver_of, machine, hello, expected):
    machine.argv = lambda argv: [argv[0], "-c", _ANSWERS_EMPTY.format(hello=hello)]
    driver = driver_of(village[0])
    with pytest.raises(HarnessError, match=expected):
        driver.open()


def test_interfaces_are_as_the_place_sees_them(village, driver):
    loopback = next(item for item in driver.addresses(driver.places[0]) if item.name == "lo")
    assert loopback.is_up
    assert loopback.mtu >= 1500
    assert "127.0.0.1/8" in loopback.addresses


def test_packets_that_fit_pass_and_larger_ones_are_told_the_mtu(village, driver):
    loopback = next(item for item in driver.addresses(driver.places[0]) if item.name == "lo")
    fits, larger = min(loopback.mtu, 65535), loopback.mtu + 1
    answers = driver.mtu(driver.at("ada"), driver.at("bob"), [1000, min(fits, 65535)])
    assert [answer.outcome for answer in answers] == ["passes", "passes"]
    assert {answer.peer for answer in answers} == {"bob"}
    if larger <= 65535:
        assert driver.mtu(driver.at("ada"), driver.at("bob"), [larger])[0].outcome == "fragmentation-needed"


def test_a_place_can_be_added_and_removed(village, driver_of):
    driver = driver_of(village[0])
    bob = driver.add(village[1].place)
    assert (driver.at("ada") >> bob.tcp()).is_open
    driver.remove(bob)
    with pytest.raises(UsageError):
        driver.at("bob")
    with pytest.raises(HarnessError, match="expects bob, which is no place"):
        driver.one(driver.at("ada"), bob.tcp())


def test_nothing_is_left_after_close(village, driver_of):
    before = set(threading.enumerate())
    driver = driver_of(*village)
    driver.open()
    assert [thread.name for thread in set(threading.enumerate()) - before].count("probe-driver") == 1
    driver.close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "probe-driver"]
    with pytest.raises(HarnessError, match="closed"):
        driver.open()
    driver.close()


def test_a_driver_that_was_never_used_starts_nothing(village, tmp_path):
    before = set(threading.enumerate())
    with Driver([one.place for one in village], {}, tmp_path / "none"):
        assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "probe-driver"]


@PROTOCOLS
def test_a_dead_listener_is_named_and_living_ones_are_not(village, driver_of, protocol):
    driver = driver_of(*village)
    driver.check_listeners(driver.places)
    bob = driver.at("bob").place
    driver.set_listener(bob, protocol, bob.ports[0], is_open=False)
    try:
        with pytest.raises(HarnessError, match=f"the listener {protocol} {bob.ports[0]} of place bob refuses its own"):
            driver.check_listeners(driver.places)
        driver.check_listeners([place for place in driver.places if place.name != "bob"])
    finally:
        driver.set_listener(bob, protocol, bob.ports[0], is_open=True)


def test_a_listener_is_vouched_for_only_when_it_answers(village, driver_of):
    driver = driver_of(*village)
    driver.vouch(driver.places)
    bob = driver.at("bob").place
    driver.set_listener(bob, "tcp", bob.ports[0], is_open=False)
    try:
        with pytest.raises(HarnessError, match="bob"):
            driver.vouch(driver.places)
    finally:
        driver.set_listener(bob, "tcp", bob.ports[0], is_open=True)
