"""What a client of the API sees of instances is what their machines do."""

from __future__ import annotations

import signal
import socket
import urllib.request

import pytest

SERVE = "echo served > index.html; exec /usr/bin/python3 -m http.server 80 >/dev/null 2>&1 &"


def test_instances_boot_from_user_data_and_their_groups_hold(cloud):
    server, other = cloud.run(groups=(cloud.group(80),), script=SERVE), cloud.run(groups=(cloud.group(22),))
    (address,), (own,) = cloud.wait("running", *server), cloud.wait("running", *other)
    cloud.wait_booted(*server)

    cloud.until(lambda: cloud.reaches(other[0], address, 80), "port 80 is not reached")
    assert not cloud.reaches(other[0], address, 22)
    assert not cloud.reaches(server[0], own, 80)


def test_a_rule_that_is_added_and_taken_back_is_in_force_at_once(cloud):
    group = cloud.group()
    server, client = cloud.run(groups=(group,), script=SERVE), cloud.run()
    (address,) = cloud.wait("running", *server)
    cloud.wait("running", *client)
    cloud.wait_booted(*server)
    rule = {"GroupId": group, "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "10.30.0.0/16"}

    assert not cloud.reaches(client[0], address, 80)
    cloud.ec2.authorize_security_group_ingress(**rule)
    cloud.until(lambda: cloud.reaches(client[0], address, 80), "the rule is not in force")
    cloud.ec2.revoke_security_group_ingress(**rule)
    cloud.until(lambda: not cloud.reaches(client[0], address, 80), "the rule is still in force")


def test_what_user_data_does_wrong_is_on_the_console_and_the_instance_runs(cloud):
    (broken,) = cloud.run(script="echo going; exit 7")
    cloud.wait("running", broken)
    cloud.wait_booted(broken)

    said = cloud.console(broken)
    assert "going" in said
    assert "exit code 7" in said.splitlines()[-1]
    assert cloud.describe(broken)[0]["State"]["Name"] == "running"


def test_a_stopped_instance_is_silent_and_starts_at_its_address_with_its_disk(cloud):
    group = (cloud.group(80),)
    (server,), (client,) = cloud.run(groups=group, script=f"date > /root/first; {SERVE}"), cloud.run()
    (address,) = cloud.wait("running", server)
    cloud.wait("running", client)
    cloud.wait_booted(server)
    cloud.ec2.stop_instances(InstanceIds=[server])
    cloud.wait("stopped", server)
    assert not cloud.reaches(client, address, 80)

    cloud.ec2.start_instances(InstanceIds=[server])
    assert cloud.wait("running", server) == [address]
    cloud.wait_booted(server)
    assert cloud.control.run(["cat", "/root/first"], machine=server).stdout
    assert "ran at the first boot" in cloud.console(server)


def test_a_reboot_keeps_the_instance_running_and_what_was_on_its_disk(cloud):
    (server,) = cloud.run(script="date > /root/first")
    cloud.wait("running", server)
    cloud.wait_booted(server)
    cloud.ec2.reboot_instances(InstanceIds=[server])

    cloud.until(lambda: cloud.console(server).count("boot: finished") == 2, "it does not boot again")
    assert cloud.control.run(["cat", "/root/first"], machine=server).stdout
    assert cloud.describe(server)[0]["State"]["Name"] == "running"


def test_a_terminated_instance_leaves_nothing(cloud):
    (server,) = cloud.run()
    cloud.wait("running", server)
    (interface,) = [one["NetworkInterfaceId"] for one in cloud.describe(server)[0]["NetworkInterfaces"]]
    cloud.ec2.terminate_instances(InstanceIds=[server])
    cloud.wait("terminated", server)

    cloud.until(lambda: not any(one in cloud.namespaces() for one in (interface, server)), "a namespace is left")
    assert server not in cloud.control.status()["machines"]
    assert not cloud.control.folder.machine(server).exists()
    assert not cloud.ec2.describe_network_interfaces(Filters=[{"Name": "network-interface-id", "Values": [interface]}])[
        "NetworkInterfaces"
    ]


def test_an_instance_sees_its_own_metadata_and_no_other(cloud):
    ask = (
        "import urllib.request as u;"
        "r=u.Request('http://169.254.169.254/latest/api/token',method='PUT',headers={'X-aws-ec2-metadata-token-ttl-seconds':'60'});"
        "t=u.urlopen(r,timeout=3).read().decode();"
        "print(u.urlopen(u.Request('http://169.254.169.254/latest/meta-data/instance-id',headers={'X-aws-ec2-metadata-token':t}),timeout=3).read().decode())"
    )
    both = cloud.run(2)
    cloud.wait("running", *both)

    for one in both:
        assert cloud.control.run(["/usr/bin/python3", "-I", "-c", ask], machine=one).stdout.decode().strip() == one


@pytest.mark.parametrize("moment", ["at-once", "with-a-network", "with-a-machine"])
def test_whoever_makes_the_machines_may_be_killed_at_any_time(cloud, moment):
    ids = cloud.run(3)
    happened = {
        "at-once": lambda: True,
        "with-a-network": lambda: any(one in cloud.namespaces() for one in ids),
        "with-a-machine": lambda: any(one in cloud.control.status()["machines"] for one in ids),
    }
    cloud.until(happened[moment], f"{moment}: it never happened")
    cloud.control.signal(None, "cloud-network", signal.SIGKILL)

    cloud.wait("running", *ids)
    cloud.wait_booted(*ids)
    cloud.ec2.terminate_instances(InstanceIds=ids)
    cloud.wait("terminated", *ids)
    cloud.until(lambda: not any(one in cloud.namespaces() for one in ids), "a namespace is left")


def test_the_api_is_all_that_a_client_needs(cloud):
    with urllib.request.urlopen(f"{cloud.url}/_kip/view", timeout=5) as answer:
        assert answer.status == 200
    assert cloud.ec2.describe_vpcs(VpcIds=[cloud.vpc])["Vpcs"][0]["CidrBlock"] == "10.30.0.0/16"


OFF, AGAIN = "0x4321fedc", "0x01234567"
"""LINUX_REBOOT_CMD_POWER_OFF and _RESTART of reboot(2)."""


def turn(cloud, instance: str, command: str) -> None:
    """What poweroff and reboot come to, without an init to ask. Only where the process is on a machine of its own."""
    program = (
        "import ctypes, socket, sys\n"
        "assert socket.gethostname() != sys.argv[1]\n"
        "ctypes.CDLL(None).reboot(ctypes.c_int(int(sys.argv[2], 16)))\n"
    )
    argv = ["/usr/bin/python3", "-I", "-c", program, socket.gethostname(), command]
    cloud.control.run(argv, machine=instance)


@pytest.mark.parametrize(("behavior", "state"), [("stop", "stopped"), ("terminate", "terminated")])
def test_an_instance_that_turns_itself_off_is_what_it_was_to_become(cloud, behavior, state):
    (server,) = cloud.run(InstanceInitiatedShutdownBehavior=behavior, script="date > /root/first")
    cloud.wait("running", server)
    cloud.wait_booted(server)
    turn(cloud, server, OFF)

    cloud.wait(state, server)
    (shown,) = cloud.describe(server)
    assert shown["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    cloud.until(lambda: server not in cloud.namespaces(), "its network is left")
    cloud.control.check_daemons()
    if state == "stopped":
        cloud.ec2.start_instances(InstanceIds=[server])
        cloud.wait("running", server)
        cloud.wait_booted(server)
        assert cloud.control.run(["cat", "/root/first"], machine=server).stdout


def test_an_instance_that_boots_again_by_itself_does_so(cloud):
    (server,) = cloud.run()
    cloud.wait("running", server)
    cloud.wait_booted(server)
    turn(cloud, server, AGAIN)

    cloud.until(lambda: cloud.console(server).count("boot: finished") == 2, "it does not boot again")
    assert cloud.describe(server)[0]["State"]["Name"] == "running"
