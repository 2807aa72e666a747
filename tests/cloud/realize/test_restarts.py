"""The process that makes the API's word true is killed while it works, and what it works on comes true all the same."""

from __future__ import annotations

import signal

import pytest
from kip_conformance.infra.cloud.start import start_cloud
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.daemons import RESTARTS

SERVE = "echo served > index.html; exec /usr/bin/python3 -m http.server 80 >/dev/null 2>&1 &"
DAEMON = "cloud-network"


@pytest.fixture
def own_cloud(supervised, cloud_at):
    """A cloud of its own: how often a process was started again is counted over a minute."""
    with supervised() as control:
        yield cloud_at(control, start_cloud(control))


def restarts(cloud) -> int:
    return next(one["restarts"] for one in cloud.control.status()["daemons"] if one["name"] == DAEMON)


def kill(cloud) -> None:
    """Kill it, and wait until the supervisor has seen that."""
    before = restarts(cloud)
    cloud.control.signal(None, DAEMON, signal.SIGKILL)
    cloud.until(lambda: restarts(cloud) > before, "it was not started again")


def test_killed_three_times_during_changes_it_converges(own_cloud):
    cloud = own_cloud
    group = cloud.group(80)
    server, client = cloud.run(groups=(group,), script=SERVE), cloud.run(2)
    kill(cloud)
    more = cloud.run(3)
    cloud.until(lambda: any(one in cloud.namespaces() for one in more), "no network is being made")
    kill(cloud)
    (address,) = cloud.wait("running", *server)
    cloud.ec2.revoke_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="10.30.0.0/16"
    )
    cloud.ec2.terminate_instances(InstanceIds=[more[0]])
    kill(cloud)
    cloud.ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="10.30.1.0/24"
    )

    cloud.wait("running", *client, *more[1:])
    cloud.wait("terminated", more[0])
    cloud.wait_booted(*server)
    for one in (*client, *more[1:]):
        cloud.until(lambda one=one: cloud.reaches(one, address, 80), f"{one} does not reach the server")
    cloud.until(lambda: more[0] not in cloud.namespaces(), "a namespace is left")
    assert restarts(cloud) == 3
    said = cloud.control.log_of(None, DAEMON).read_text()
    assert said.count("supervisor: ended with -9; started again") == 3


def test_it_is_given_up_when_it_ends_again_and_again(supervised):
    with supervised() as control:
        control.daemon("hopeless", ["sh", "-c", "echo no; exit 3"], again=True)

        assert control.wait_daemon(None, "hopeless", within=20) == 3
        with pytest.raises(HarnessError, match=rf"hopeless ended with 3: .*again {RESTARTS} times .*given up"):
            control.check_daemons()
        assert control.log_of(None, "hopeless").read_text().count("no\n") == RESTARTS + 1


def test_one_that_is_ended_on_purpose_stays_so(supervised):
    with supervised() as control:
        control.daemon("wanted", ["sleep", "1000"], again=True)
        control.end_daemon(None, "wanted")

        control.check_daemons()
        assert control.daemons()["", "wanted"] == -signal.SIGTERM
