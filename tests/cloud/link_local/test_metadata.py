"""The metadata service as machines see it. Sources: Amazon EC2 User Guide, Use the Instance Metadata Service to access
instance metadata, and Instance metadata categories. Trees and refusals without a network: tests/unit/cloud."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time

import pytest
from kip_conformance.infra.cloud.facts import MetadataOptions, RoleFacts
from kip_conformance.infra.cloud.link_local.client import start_link_local, stop_link_local
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.compile import nic_namespace
from kip_conformance.infra.lab.machine import LabMachine

from .conftest import MACHINES, PYTHON, REGION, facts, http, zone

PUT = ("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
WITH_TOKEN = {"X-aws-ec2-metadata-token": "TOKEN"}
INSTANCE = ("GET", "/latest/meta-data/instance-id", {})


def test_each_machine_is_told_about_itself(served, ask):
    for name in MACHINES:
        ((status, headers, body),) = ask(name, http(INSTANCE))[0]

        assert (status, body) == (200, f"i-{name}")
        assert headers["Content-Type"] == "text/plain"


def test_a_session_of_version_2_on_one_connection(served, ask):
    served.put(facts("left", options=MetadataOptions(requires_token=True)))

    (token, inside), (without,) = ask("left", http(PUT, (*INSTANCE[:2], WITH_TOKEN)), http(INSTANCE))

    assert token[0] == 200
    assert token[1]["x-aws-ec2-metadata-token-ttl-seconds"] == "60"
    assert inside[::2] == [200, "i-left"]
    assert without[0] == 401


def test_a_token_of_one_machine_is_of_no_use_on_another(served, ask):
    ((_, _, token),) = ask("left", http(PUT))[0]
    with_token = (*INSTANCE[:2], {"X-aws-ec2-metadata-token": token})

    assert ask("left", http(with_token))[0][0][0] == 200
    assert ask("right", http(with_token))[0][0][0] == 401


def test_the_cloud_s_own_client_finds_region_and_credentials(served, machines):
    """botocore, as in boto3, with nothing configured: both come from version 2 of the service."""
    role = RoleFacts("node", "arn:aws:iam::123456789012:instance-profile/n", "AIPA0", "ASIAX", "secret", "token",
                     "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z")  # fmt: skip
    served.put(facts("left", role=role, options=MetadataOptions(requires_token=True)))
    script = (
        "import botocore.session as s, botocore.utils as u\n"
        "found = s.Session().get_credentials()\n"
        "print(found.method, found.access_key, found.secret_key, found.token)\n"
        "print(u.InstanceMetadataRegionFetcher().retrieve_region())"
    )

    done = machines.run([sys.executable, "-c", script], machine="left", env={"HOME": "/nowhere"})

    assert done.stdout.decode().split() == ["iam-role", "ASIAX", "secret", "token", REGION], done.stderr.decode()


@pytest.fixture
def nested(machines):
    """A namespace behind the left machine, which forwards for it: the instance's second address, as a cell's pod."""
    address = MACHINES["left"][1]
    script = f"""
        ip netns add pod
        ip link add veth0 type veth peer name eth0 netns pod
        ip addr add 169.254.1.1/32 dev veth0
        ip link set veth0 up
        ip route add {address} dev veth0
        ip -n pod addr add {address}/32 dev eth0
        ip -n pod link set eth0 up
        ip -n pod route add 169.254.1.1 dev eth0
        ip -n pod route add default via 169.254.1.1
    """
    done = machines.run(["sh", "-ec", script], machine="left")
    assert done.returncode == 0, done.stderr.decode()
    yield "pod"
    machines.run(["ip", "netns", "del", "pod"], machine="left")
    machines.run(["ip", "link", "del", "veth0"], machine="left")


def arriving_limits(machines, run):
    """The IP limits of what the metadata service sent with data in it while `run` ran."""
    with LabMachine("left", (), machines).capture("src 169.254.169.254 and tcp[13] & 8 != 0") as capture:
        result = run()
        pcap = capture.stop()
    limits, position = [], 24
    while position < len(pcap):
        length = int.from_bytes(pcap[position + 8 : position + 12], "little")
        packet = pcap[position + 16 : position + 16 + length]
        limits.append(packet[20 + 8])  # Linux's cooked header, version 2, has 20 bytes
        position += 16 + length
    return result, limits


def test_the_answer_to_a_token_request_arrives_with_the_hop_limit(served, ask, machines):
    ((put,), (get,)), limits = arriving_limits(machines, lambda: ask("left", http(PUT), http(INSTANCE)))

    assert (put[0], get[0]) == (200, 200)
    assert limits == [1, 64]


def test_a_hop_limit_of_1_keeps_tokens_from_a_pod_and_2_lets_them_through(served, ask, nested):
    first = ask("left", http(PUT, timeout=0.7), http(INSTANCE, timeout=2), nested=nested)
    served.put(facts("left", options=MetadataOptions(hop_limit=2)))
    second = ask("left", http(PUT, (*INSTANCE[:2], WITH_TOKEN), timeout=2), nested=nested)

    assert first[0] == ["silent"]
    assert first[1][0][::2] == [200, "i-left"]
    assert [answer[0] for answer in second[0]] == [200, 200]


def test_what_is_put_again_is_served_at_once(served, ask):
    served.put(facts("left", user_data=b"#!/bin/sh\n", tags=(("Name", "x"),)))

    ((_, headers, body),) = ask("left", http(("GET", "/latest/user-data", {})))[0]

    assert (body, headers["Content-Type"]) == ("#!/bin/sh\n", "application/octet-stream")


def test_what_is_no_request_ends_the_connection(served, ask):
    ((status, headers, _),) = ask("left", http(("GET", "/" + "a" * 9000, {})))[0]

    assert (status, headers["Connection"]) == (431, "close")


def test_a_removed_instance_is_served_no_more_and_its_namespace_is_free(served, ask):
    served.remove("i-left")

    assert ask("left", http(INSTANCE)) == [["Connection refused"]]
    assert ask("right", http(INSTANCE))[0][0][2] == "i-right"


def test_a_namespace_made_anew_under_its_name_is_served(control, services):
    extra = dataclasses.replace(
        facts("left"),
        instance_id="i-extra",
        interfaces=(dataclasses.replace(facts("left").interfaces[0], interface_id="extra", netns="nic-extra"),),
    )
    with pytest.raises(HarnessError, match="interface extra: namespace nic-extra: No such file"):
        services.put(extra, zones=[zone()])
    try:
        for _ in range(2):
            control.add_netns({"nic-extra": {}})
            services.sync()
            assert listening(control, "nic-extra") == 3
            control.remove_netns(["nic-extra"])
        with pytest.raises(HarnessError, match="nic-extra"):
            services.sync()
    finally:
        services.remove("i-extra")


def listening(control, netns):
    return int(control.run(["sh", "-c", "ss -Hltn | wc -l"], netns=netns).stdout)


def test_a_port_that_is_taken_is_one_line_and_the_next_sync_tries_again(control, services):
    script = "import socket; s = socket.create_server(('', 80)); print('up', flush=True); input()"
    held = control.open([PYTHON, "-c", script], netns=nic_namespace("right"))
    os.read(held.stdout, 16)
    try:
        with pytest.raises(HarnessError, match="interface right: namespace nic-right: Address already in use"):
            services.put(facts("right"), zones=[zone()])
        os.write(held.stdin, b"\n")
        while os.read(held.stdout, 16):
            pass
        assert services.sync()["interfaces"] == 1
    finally:
        held.close()
        services.remove("i-right")


def test_a_file_that_cannot_be_read_is_one_line_and_the_others_are_served(served, ask):
    broken = served.folder.instances / "i-broken.json"
    broken.write_text('{"instance_id": 3}')
    try:
        with pytest.raises(HarnessError, match=r"i-broken\.json: KeyError"):
            served.sync()
        assert ask("right", http(INSTANCE))[0][0][2] == "i-right"
    finally:
        broken.unlink()
    served.sync()


def test_a_killed_server_is_started_again_and_serves_what_it_did(served, ask, control):
    with_token = (*INSTANCE[:2], {"X-aws-ec2-metadata-token": ask("left", http(PUT))[0][0][2]})
    before = _pid_of(control, "link-local")
    control.signal(None, "link-local", signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _pid_of(control, "link-local") == before or not _answers(served):
        control.check_daemons()
        assert time.monotonic() < deadline, "it was not started again"
        time.sleep(0.02)

    assert served.sync()["instances"] == 2
    assert ask("left", http(INSTANCE))[0][0][2] == "i-left"
    assert ask("left", http(with_token))[0][0][0] == 401  # as when a token has run out


def _pid_of(control, daemon: str) -> int:
    return next(one["pid"] for one in control.status()["daemons"] if one["name"] == daemon)


def _answers(served) -> bool:
    try:
        served.sync()
    except HarnessError:
        return False
    return True


def test_it_ends_in_order_when_told(served, ask, control):
    stop_link_local(control)

    assert control.daemons()["", "link-local"] == 0
    assert not served.folder.control.exists()
    assert ask("left", http(INSTANCE)) == [["Connection refused"]]
    start_link_local(control)
