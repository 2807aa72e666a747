"""The prober itself, spoken to by hand over real channels."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kip_conformance.infra.probe import prober


def exchange(resident, nonce="n1", protocol="tcp", *, size=0, reply_size=0, port=0):
    """One request by hand: (facts, the whole answer)."""
    request = prober.request_bytes(nonce, size, reply_size)
    address = (resident.place.address, resident.place.ports[port])
    if protocol == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.connect(address)
            sock.send(request)
            answer = sock.recv(65535)
    else:
        with socket.create_connection(address, timeout=2) as sock:
            # In two pieces: a request may arrive in any number of them.
            sock.sendall(request[:7])
            time.sleep(0)
            sock.sendall(request[7:])
            answer = b""
            while part := sock.recv(65535):
                answer += part
    return json.loads(answer.partition(b"\n")[0]), answer


def probes(*specs, **message):
    return {"op": "probe", "probes": list(specs), **message}


def waiting(sock):
    """Every datagram that has arrived."""
    sock.setblocking(False)
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(sock.recvfrom(2000))
    return found


def at(resident, **spec):
    return {"host": resident.place.address, "port": resident.place.ports[0], **spec}


def test_the_ready_line_names_everything(village):
    ada = village[0]
    assert ada.ready.startswith(
        f"prober ada ready: tcp and udp {','.join(map(str, sorted(ada.place.ports)))} on 0.0.0.0"
    )
    assert ada.place.socket in ada.ready


def test_the_hello_has_a_version_and_an_identity(village, wire):
    hello = wire(village[0].place.socket).hello
    assert hello["hello"] == prober.PROTOCOL_VERSION
    assert hello["name"] == "ada"
    assert hello["instance"] in village[0].ready
    assert {f"tcp/{port}" for port in village[0].place.ports} <= set(hello["listening"])


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_an_answer_says_who_where_and_what_arrived(village, protocol):
    facts, answer = exchange(village[1], "some-nonce", protocol, size=500, reply_size=700, port=1)
    assert facts["name"] == "bob"
    assert facts["source"] == "127.0.0.1"
    assert facts["nonce"] == "some-nonce"
    assert facts["size"] == 500
    assert facts["intact"] is True
    request = prober.request_bytes("some-nonce", 500, 700)
    assert facts["digest"] == prober.digest(request.partition(b"\n")[2])
    assert len(answer) == 700


def test_a_udp_answer_leaves_from_the_address_that_was_asked(village):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.sendto(prober.request_bytes("n", 0, 0), ("127.9.8.7", village[0].place.ports[0]))
        assert sock.recvfrom(65535)[1] == ("127.9.8.7", village[0].place.ports[0])


def test_a_damaged_payload_is_told(village):
    request = bytearray(prober.request_bytes("n", 300, 0))
    request[-1] ^= 1
    with socket.create_connection((village[0].place.address, village[0].place.ports[0]), timeout=2) as sock:
        sock.sendall(request)
        facts = json.loads(sock.recv(65535))
    assert facts["intact"] is False


def test_strangers_get_no_answer_and_no_hold(village):
    with socket.create_connection((village[0].place.address, village[0].place.ports[0]), timeout=2) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: " + b"x" * 200 + b"\r\n\r\n")
        assert sock.recv(100) == b""
    assert exchange(village[0])[0]["name"] == "ada"


def http_get(place, path: str) -> tuple[str, str]:
    with socket.create_connection((place.address, place.ports[0]), timeout=2) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {'x' * 200}\r\n".encode())
        sock.sendall(b"User-Agent: kube-probe/1.36\r\n\r\n")
        head, _, body = sock.makefile("rb").read().decode().partition("\r\n\r\n")
    return head.splitlines()[0], body


def test_an_http_get_is_answered_with_the_status_that_was_set(village, wire):
    place, talk = village[0].place, wire(village[0].place.socket)
    status, body = http_get(place, "/a?b=c")
    assert status == "HTTP/1.1 200 prober"
    assert (json.loads(body)["name"], json.loads(body)["path"]) == ("ada", "/a?b=c")
    assert talk.ask(op="http", status=503)["status"] == 503
    assert http_get(place, "/ready")[0] == "HTTP/1.1 503 prober"
    assert talk.ask(op="http", status=200)["status"] == 200
    assert "out of range" in talk.ask(op="http", status=99)["failed"]


def test_an_http_request_without_end_is_not_held(village):
    with socket.create_connection((village[0].place.address, village[0].place.ports[0]), timeout=2) as sock:
        sock.sendall(b"GET /" + b"x" * prober.HTTP_LIMIT)
        assert sock.recv(100) == b""


def test_results_keep_the_order_of_probes(village, wire):
    talk = wire(village[0].place.socket)
    reply = talk.ask(**probes(*[at(one, proto=proto) for one in village for proto in ("tcp", "udp")] * 40))
    assert [result[0] for result in reply["results"]] == ["open"] * 240
    assert [result[1] for result in reply["results"]] == ["ada", "ada", "bob", "bob", "cyd", "cyd"] * 40


def test_more_probes_than_are_in_flight_are_paced_and_all_answered(village, wire):
    talk = wire(village[0].place.socket)
    reply = talk.ask(**probes(*[at(village[1])] * 1000, defaults={"timeout": 5}))
    assert {(result[0], result[5]) for result in reply["results"]} == {("open", 1)}
    assert talk.ask(op="stats")["active"] == 0


def test_a_request_may_rest_in_the_middle(village, wire):
    talk = wire(village[0].place.socket)
    reply = talk.ask(**probes(at(village[1], idle=0.3), at(village[1]), defaults={"timeout": 1}))
    assert [result[0] for result in reply["results"]] == ["open", "open"]
    assert reply["results"][0][4] >= 0.3
    assert "failed" in talk.ask(**probes(at(village[1], proto="udp", idle=1)))


def test_silent_probes_give_up_their_slots(village, wire, mute):
    """Three times as many as are in flight at once, all silent: still one timeout and not three."""
    talk = wire(village[0].place.socket)
    spec = {"host": mute[0], "port": mute[1], "proto": "udp"}
    reply = talk.ask(**probes(*[spec] * (3 * prober.IN_FLIGHT), defaults={"timeout": 0.6}))
    assert {tuple(result) for result in reply["results"]} == {("timeout", None, "no answer")}
    assert reply["elapsed"] >= 0.6
    if reply["lag"] < prober.LATE:  # else this machine is too busy to say anything about time
        assert reply["elapsed"] < 1.2


def test_an_unanswered_probe_is_sent_twice_from_fresh_sockets(village, wire):
    talk = wire(village[0].place.socket)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.9", 0))
        spec = {"host": "127.0.0.9", "port": sock.getsockname()[1], "proto": "udp"}
        specs = (spec, {**spec, "attempts": 1, "nonce": "once"})
        lag = talk.ask(**probes(*specs, nonce="twice", defaults={"timeout": 0.3}))["lag"]
        arrived = waiting(sock)
    nonces = [data.split()[1] for data, _ in arrived]
    assert nonces.count(b"once") == 1
    # A prober that ran late gives the lost time back, with another attempt.
    assert nonces.count(b"twice.0") == 2 if lag < prober.LATE else nonces.count(b"twice.0") >= 2
    assert len({source for _, source in arrived}) == len(arrived)


def test_the_second_attempt_counts_and_is_told(village, wire):
    talk = wire(village[0].place.socket)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.9", 0))
        sock.settimeout(3)
        spec = {"host": "127.0.0.9", "port": sock.getsockname()[1], "proto": "udp", "nonce": "n"}
        talk.send(json.dumps({"id": 1, **probes(spec, defaults={"timeout": 1})}).encode())
        sock.recvfrom(2000)
        _, second = sock.recvfrom(2000)
        facts = {"name": "x", "instance": "i", "source": "s", "port": 1, "nonce": "n", "size": 1, "digest": ""}
        sock.sendto(json.dumps(facts).encode() + b"\n", second)
        result = talk.read()["results"][0]
    assert result[:3] == ["open", "x", "s"]
    assert result[5] == 2


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "no known form"),
        (b'{"name": "eve", "nonce": "stale", "digest": ""}\n', "another nonce"),
        (b'{"name": "eve", "nonce": "n", "digest": "00"}\n', "damaged"),
        (b"[]\n", "no known form"),
    ],
)
def test_a_foreign_answer_is_a_wrong_peer(village, wire, answer, detail):
    talk = wire(village[0].place.socket)
    with socket.create_server(("127.0.0.9", 0)) as server:
        spec = {"host": "127.0.0.9", "port": server.getsockname()[1], "nonce": "n"}
        talk.send(json.dumps({"id": 1, **probes(spec)}).encode())
        with server.accept()[0] as connection:
            connection.sendall(answer)
            kind, _, told = talk.read()["results"][0]
    assert kind == "wrong_peer"
    assert detail in told


def test_a_connection_that_is_reset_or_closed_is_a_reset(village, wire):
    talk = wire(village[0].place.socket)
    with socket.create_server(("127.0.0.9", 0)) as server:
        spec = {"host": "127.0.0.9", "port": server.getsockname()[1]}
        for linger in (b"\1\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0"):
            talk.send(json.dumps({"id": 1, **probes(spec)}).encode())
            connection = server.accept()[0]
            connection.recv(100)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
            assert talk.read()["results"][0][0] == "reset"


def test_seen_knows_what_arrived(village, wire):
    exchange(village[2], "arrived")
    talk = wire(village[2].place.socket)
    reply = talk.ask(op="seen", nonces=["arrived", "never"])
    assert reply["sources"] == ["127.0.0.1", None]
    assert reply["count"] >= 1


def test_source_port_and_bind_are_used(village, wire, mute):
    talk = wire(village[0].place.socket)
    port = mute[1] - 1 if mute[1] > 20000 else mute[1] + 1
    reply = talk.ask(**probes(at(village[1], bind="127.0.0.77", source_port=port, tos=16, ttl=3)))
    assert reply["results"][0][2:4] == ["127.0.0.77", port]


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_source_ports_are_used_in_turn_and_shared_with_no_neighbour(village, wire, proto):
    """Connection tracking remembers an unanswered SYN for two minutes: its port must not come back before."""
    talks = [wire(village[0].place.socket), wire(village[1].place.socket)]
    used = []
    for talk in talks:
        replies = [talk.ask(**probes(*[at(village[2], proto=proto)] * 77)) for _ in range(8)]
        used.append([result[3] for reply in replies for result in reply["results"]])

    assert [len(set(ports)) for ports in used] == [616, 616]
    lanes = [{port % prober.LANES for port in ports} for ports in used]
    assert [len(lane) for lane in lanes] == [1, 1]
    # Probers of tests that run beside this one may have taken all lanes; some then share one.
    assert lanes[0] != lanes[1] or Path("/proc/net/unix").read_text().count("@kip-prober-source-ports") == prober.LANES


def test_source_ports_pass_over_those_in_use():
    with contextlib.closing(prober.SourcePorts()) as ports, socket.socket() as other, socket.socket() as ours:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        ports.ports, ports.next = range(taken, taken + 1), 0
        with pytest.raises(OSError, match="every source port is in use"):
            ports.bind(ours, "127.0.0.1")
        with pytest.raises(OSError, match="assign requested address"):
            ports.bind(ours, "192.0.2.1")
        ports.ports = range(taken, taken + 50)
        ports.bind(ours, "127.0.0.1")
        assert taken < ours.getsockname()[1] < taken + 50


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [("32768 60999", 32768, 60999), ("1024 65535", 32768, 65535), ("1024 30000", 1024, 30000), ("?", 32768, 60999)],
)
def test_source_ports_stay_in_the_kernels_range_and_off_node_ports(tmp_path, said, least, most):
    (tmp_path / "range").write_text(said)
    with contextlib.closing(prober.SourcePorts(str(tmp_path / "range"))) as source:
        ports = source.ports
    assert least <= min(ports) < least + prober.LANES
    assert most - prober.LANES < max(ports) <= most


def test_ip_options_travel(village, wire):
    """Four "no operation" options (RFC 791): a probe with options is still answered."""
    talk = wire(village[0].place.socket)
    reply = talk.ask(
        **probes(at(village[1], ip_options="01010101"), at(village[1], proto="udp", ip_options="01010101"))
    )
    assert [result[0] for result in reply["results"]] == ["open", "open"]


def test_icmp_echo(village, wire):
    reply = wire(village[0].place.socket).ask(op="echo", host="127.0.0.1", size=1000)
    if "may not send ICMP echo" in reply.get("failed", ""):
        pytest.skip("this process may not send ICMP echo")
    assert reply["outcome"] == "open"
    assert 0 < reply["rtt"] < 1


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"garbage", "JSONDecodeError"),
        (b"[]", "not an object"),
        (b'{"id": 1, "op": "fly"}', "unknown op 'fly'"),
        (b'{"id": 1, "op": "probe"}', "KeyError: 'probes'"),
        (b'{"id": 1, "op": "probe", "probes": [{"host": "127.0.0.1"}]}', "probe 0: host or port is missing"),
        (b'{"id": 1, "op": "probe", "probes": [{"host": "127.0.0.1", "port": 1, "x": 1}]}', "unknown field x"),
        (b'{"id": 1, "op": "probe", "probes": [{"host": "127.0.0.1", "port": 70000}]}', "out of range"),
        (
            b'{"id": 1, "op": "probe", "probes": [{"host": "127.0.0.1", "port": 1, "timeout": 0}]}',
            "timeout is out of range",
        ),
        (b'{"id": 1, "op": "mtu", "host": "127.0.0.1", "port": 1, "sizes": [5]}', "size is out of range"),
        (b'{"id": 1, "op": "resolve", "name": "x", "type": "MX"}', "unknown record type MX"),
    ],
)
def test_a_bad_line_draws_an_error_and_the_channel_goes_on(village, wire, line, error):
    talk = wire(village[0].place.socket)
    talk.send(line)
    assert error in talk.read()["failed"]
    assert talk.ask(op="heartbeat")["beat"] is True


def test_an_empty_batch_is_answered(village, wire):
    assert wire(village[0].place.socket).ask(**probes())["results"] == []


def test_requests_may_come_in_pieces_and_overlap(village, wire, mute):
    talk = wire(village[0].place.socket)
    slow = {"host": mute[0], "port": mute[1], "proto": "udp", "timeout": 0.4}
    line = json.dumps({"id": "slow", **probes(slow)}).encode()
    talk.process.stdin.write(line[:20])
    talk.process.stdin.flush()
    talk.send(line[20:], json.dumps({"id": "quick", **probes(at(village[1]))}).encode())
    assert [talk.read()["id"], talk.read()["id"]] == ["quick", "slow"]


def test_goodbye_ends_the_channel_process_and_frees_its_pipes(village, wire):
    talk = wire(village[0].place.socket)
    assert talk.ask(op="bye")["bye"] is True
    assert talk.read() == {}
    assert talk.process.wait(3) == 0


def test_end_of_file_is_not_the_end_but_a_reader_gone_is(village, wire):
    talk, other = wire(village[0].place.socket), wire(village[0].place.socket)
    talk.send(json.dumps({"id": 1, "op": "heartbeat"}).encode())
    talk.process.stdin.close()
    assert talk.read()["beat"] is True
    assert talk.process.poll() is None
    talk.process.stdout.close()
    talk.process.wait(3)
    talk.process.stdin = talk.process.stdout = None
    assert other.ask(op="heartbeat")["beat"] is True


def test_missed_heartbeats_end_a_channel(resident, wire, tmp_path):
    copy = tmp_path / "hasty.py"
    source = Path(prober.__file__).resolve().read_text()
    copy.write_text(source.replace("HEARTBEAT_LIMIT = 10.0", "HEARTBEAT_LIMIT = 0.3"))
    hasty = resident("hasty", script=copy)
    talk = wire(hasty.place.socket)
    start = time.monotonic()
    assert talk.read() == {}
    assert 0.2 < time.monotonic() - start < 5
    assert talk.process.wait(3) == 0


def test_a_killed_resident_ends_its_channels_with_a_clear_line(resident, wire):
    gone = resident("gone")
    talk = wire(gone.place.socket)
    gone.kill()
    assert talk.read()["error"].endswith("died")
    assert talk.process.wait(3) == prober.EXIT_GONE
    again = wire(gone.place.socket)
    assert "cannot be reached" in again.hello["error"]
    assert again.process.wait(3) == prober.EXIT_GONE


def test_a_frozen_resident_is_told_from_one_that_is_gone(resident, wire):
    frozen = resident("frozen")
    frozen.signal(signal.SIGSTOP)
    talk = wire(frozen.place.socket, "--patience", "0.3")
    assert "frozen" in talk.hello["error"]
    assert talk.process.wait(3) == prober.EXIT_SILENT


def test_a_prober_that_was_frozen_for_a_while_reports_no_false_timeout(resident, village, wire):
    """Answers that came while it could not look are read before any deadline, and the lost time is given back."""
    frozen = resident("frozen")
    talk = wire(frozen.place.socket)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.9", 0))
        sock.settimeout(3)
        spec = {"host": "127.0.0.9", "port": sock.getsockname()[1], "proto": "udp", "nonce": "n"}
        talk.send(json.dumps({"id": 1, **probes(spec, defaults={"timeout": 0.3})}).encode())
        _, client = sock.recvfrom(2000)
        frozen.signal(signal.SIGSTOP)
        facts = {"name": "x", "instance": "i", "source": "s", "port": 1, "nonce": "n", "size": 1, "digest": ""}
        sock.sendto(json.dumps(facts).encode() + b"\n", client)
        time.sleep(0.5)  # the freeze itself is what is tested: longer than the whole timeout
        frozen.signal(signal.SIGCONT)
        reply = talk.read()
    assert reply["results"][0][0] == "open"
    assert reply["lag"] > 0.1


def test_sigterm_ends_it_at_once(resident):
    one = resident("one")
    start = time.monotonic()
    one.signal(signal.SIGTERM)
    assert one.process.wait(3) == 0
    assert time.monotonic() - start < 1


def test_a_port_in_use_is_one_clear_line(resident):
    one = resident("one")
    second = resident("two", ports=one.place.ports)
    assert second.ready == ""
    assert second.process.wait(3) == 1
    line = second.process.stderr.read()
    assert line == f"prober two: cannot listen on tcp 0.0.0.0:{one.place.ports[0]}: Address already in use\n"


def test_a_socket_in_use_is_refused_and_a_stale_one_replaced(resident, tmp_path):
    one = resident("same")
    second = resident("same")
    assert second.process.wait(3) == 1
    assert f"another prober serves {one.place.socket}" in second.process.stderr.read()
    one.kill()
    assert "ready" in resident("same").ready


def test_it_is_small_and_leaks_no_descriptor(village, wire):
    talk = wire(village[1].place.socket)
    before = talk.ask(op="stats")
    talk.ask(**probes(*[at(one, proto=proto) for one in village for proto in ("tcp", "udp")] * 50))
    after = talk.ask(op="stats")
    assert after["fds"] == before["fds"]
    assert after["rss"] < 40 << 20


def test_it_needs_the_standard_library_only(tmp_path):
    """As in its image: no site-packages, no environment, another folder, and no other file of the project."""
    copy = tmp_path / "prober.py"
    copy.write_bytes(Path(prober.__file__).resolve().read_bytes())
    argv = [sys.executable, "-I", "-S", str(copy), "--help"]
    assert subprocess.run(argv, cwd=tmp_path, env={}, capture_output=True, check=True).stdout.startswith(
        b"usage: prober.py"
    )


def test_the_checksum_is_that_of_rfc_1071():
    data = bytes.fromhex("0001f203f4f5f6f7")
    assert struct.pack("=H", prober.checksum(data)) == bytes.fromhex("220d")


def test_request_sizes_are_exact():
    for size in (60, 100, 1472, 65507):
        assert len(prober.request_bytes("abc-main-17.3", size, 0)) == size
    assert len(prober.request_bytes("abc", 0, 0)) < 40


def test_error_numbers_become_kinds():
    assert prober.classify(errno.ECONNREFUSED, "connect") == ("refused", "ECONNREFUSED")
    assert prober.classify(errno.ECONNRESET, "receive") == ("reset", "ECONNRESET")
    assert prober.classify(errno.EHOSTUNREACH, "connect") == ("unreachable", "EHOSTUNREACH")
    assert prober.classify(errno.EPERM, "send") == ("unreachable", "EPERM")
    assert prober.classify(errno.ETIMEDOUT, "connect") == ("timeout", "ETIMEDOUT")
    assert prober.classify(errno.EMFILE, "socket")[0] == "error"
    assert os.strerror(errno.EMFILE) in prober.classify(errno.EMFILE, "socket")[1]
