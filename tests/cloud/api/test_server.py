"""The server itself: state on disk, faults by switch, the view, machines elsewhere, bad requests, its end."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError
from kip_conformance.infra.cloud.client import CloudClient
from kip_conformance.infra.cloud.view import CloudView
from kip_conformance.infra.errors import HarnessError


def view_of(asked, server, query=""):
    return CloudView.from_json(asked(server, f"view{query}")[1])


def test_a_follower_sees_each_change(own_server, cloud_of):
    """infra/cloud/client.py: what the fabric follows."""
    server = own_server("--machines", "external")
    cloud, client = cloud_of(server.client()), CloudClient(server.url)
    views = client.views()
    first = next(views)
    vpc = cloud.make_vpc()
    assert vpc in [one.id for one in next(views).vpcs]
    assert vpc not in [one.id for one in first.vpcs]
    cloud.vpc = vpc
    instance = cloud.run(cloud.subnet())["InstanceId"]
    client.report([instance], "running")
    assert next(view for view in views if any(one.state == "running" for one in view.instances))
    client.set_faults([{"action": "DescribeVpcs", "code": "Unavailable", "times": 1}])
    with pytest.raises(ClientError):
        cloud.ec2.describe_vpcs()
    with pytest.raises(HarnessError, match="flying"):
        client.report([instance], "flying")
    server.stop()
    with pytest.raises(HarnessError, match="is away"):
        client.view()


def described(ec2):
    """What describes say of everything that this file makes, without what differs between answers."""
    return {
        name: getattr(ec2, f"describe_{name}")() | {"ResponseMetadata": None}
        for name in (
            "instances", "network_interfaces", "subnets", "vpcs", "route_tables", "security_groups", "addresses",
            "nat_gateways", "vpc_endpoints", "vpc_peering_connections", "vpn_connections", "tags", "dhcp_options",
            "volumes",
        )
    }  # fmt: skip


def test_a_killed_server_begins_where_it_was(own_server, asked, cloud_of):
    """Every answered call is on disk; describes say the same after a kill -9."""
    server = own_server()
    cloud = cloud_of(server.client())
    cloud.vpc = cloud.make_vpc()
    subnet = cloud.subnet()
    cloud.internet_gateway()
    cloud.run_many(3, subnet, UserData="#!/bin/sh\n", ClientToken="again")
    eip = cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
    cloud.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=eip)
    cloud.ec2.create_vpc_endpoint(
        VpcId=cloud.vpc, ServiceName="com.amazonaws.eu-central-1.s3", RouteTableIds=[cloud.table()]
    )
    server.client("s3").create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    server.client("s3").put_object(Bucket="kept", Key="blob", Body=b"content")
    before, version = described(cloud.ec2), view_of(asked, server).version
    server.signal(signal.SIGKILL)
    server.start()
    after = cloud_of(server.client(), cloud.vpc)
    assert described(after.ec2) == before
    assert server.client("s3").get_object(Bucket="kept", Key="blob")["Body"].read() == b"content"
    assert view_of(asked, server).version > version
    again = after.run_many(3, subnet, UserData="#!/bin/sh\n", ClientToken="again")
    assert [one["InstanceId"] for one in again] == [
        one["InstanceId"] for one in before["instances"]["Reservations"][0]["Instances"]
    ]


@pytest.mark.parametrize("moment", ["asked", "written"])
def test_a_kill_in_the_middle_leaves_no_half_instance(own_server, cloud_of, moment):
    """RunInstances with a client token: after a kill -9 the instances are all there or not at all."""
    server = own_server()
    cloud = cloud_of(server.client())
    cloud.vpc = cloud.make_vpc()
    subnet = cloud.subnet()
    began = threading.Event()

    def launch():
        began.set()
        with contextlib.suppress(HTTPClientError, ClientError):
            cloud.run_many(20, subnet, ClientToken="once")

    thread = threading.Thread(target=launch)
    thread.start()
    began.wait()
    # Just before the new state takes the place of the old one, or even before there is one.
    while moment == "written" and thread.is_alive() and not (server.folder / "ec2.state.new").exists():
        pass
    server.signal(signal.SIGKILL)
    thread.join()
    server.start()
    cloud = cloud_of(server.client(), cloud.vpc)
    assert cloud.free(subnet) in (251, 231)
    made = cloud.run_many(20, subnet, ClientToken="once")
    assert len({one["PrivateIpAddress"] for one in made}) == 20
    assert cloud.free(subnet) == 231


def test_what_was_under_way_goes_on_after_a_kill(own_server, asked, cloud_of):
    """An instance that was pending when the server was killed is told again to whoever makes it run."""
    server = own_server("--machines", "external")
    cloud = cloud_of(server.client())
    cloud.vpc = cloud.make_vpc()
    instance = cloud.run(cloud.subnet())["InstanceId"]
    server.signal(signal.SIGKILL)
    server.start()
    assert [one.state for one in view_of(asked, server).instances] == ["pending"]
    server.signal(signal.SIGKILL)
    server.options = ()
    server.start()
    assert cloud_of(server.client()).instance(instance)["State"]["Name"] == "running"


def test_machines_elsewhere(own_server, asked, tmp_path, cloud_of):
    """A process that follows the view makes instances run and reports it; the console is a file of its."""
    server = own_server("--machines", "external", "--consoles", str(tmp_path / "{id}.log"))
    cloud = cloud_of(server.client())
    cloud.vpc = cloud.make_vpc()
    one, two = (made["InstanceId"] for made in cloud.run_many(2, cloud.subnet()))
    report = lambda what: asked(server, "instances", "POST", what)  # noqa: E731
    assert report({one: {"state": "running"}, two: {"state": "failed", "reason": "no image"}})[0] == 200
    assert cloud.instance(one)["State"]["Name"] == "running"
    failed = cloud.instance(two)
    assert (failed["State"]["Name"], failed["StateReason"]["Code"]) == ("terminated", "Server.InternalError")
    assert "Output" not in cloud.ec2.get_console_output(InstanceId=one)
    (tmp_path / f"{one}.log").write_text("hello from the machine\n")
    assert cloud.ec2.get_console_output(InstanceId=one)["Output"] == "hello from the machine\n"
    cloud.ec2.reboot_instances(InstanceIds=[one])
    assert [(entry.state, entry.boots) for entry in view_of(asked, server).instances] == [("running", 2)]
    cloud.ec2.stop_instances(InstanceIds=[one])
    assert cloud.instance(one)["State"]["Name"] == "stopping"
    report({one: {"state": "stopped"}})
    assert cloud.instance(one)["State"]["Name"] == "stopped"
    cloud.ec2.terminate_instances(InstanceIds=[one])
    assert cloud.instance(one)["State"]["Name"] == "shutting-down"
    report({one: {"state": "running"}})
    assert cloud.instance(one)["State"]["Name"] == "shutting-down"
    report({one: {"state": "terminated"}})
    assert cloud.instance(one)["State"]["Name"] == "terminated"
    assert report({"i-0123456789abcdef0": {"state": "running"}})[0] == 400
    assert report({one: {"state": "flying"}})[0] == 400


def test_the_view_says_what_the_api_says(server, cloud, asked):
    """The view has every part in plain values, and comes back from its JSON as it was."""
    subnet, group = cloud.subnet(), cloud.group()
    gateway = cloud.internet_gateway()
    table = cloud.table()
    cloud.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    cloud.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 90, "UserIdGroupPairs": [{"GroupId": group}]}
    cloud.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    spec = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], "SecondaryPrivateIpAddressCount": 1}
    made = cloud.run(NetworkInterfaces=[{**spec, "AssociatePublicIpAddress": True}], UserData="#!/bin/sh\n")
    view = view_of(asked, server)
    assert CloudView.from_json(view.to_json()) == view
    assert next(one for one in view.vpcs if one.id == cloud.vpc).cidrs == ("10.20.0.0/16",)
    assert next(one for one in view.subnets if one.id == subnet).route_table == table
    routes = {one.destination: one for one in next(one for one in view.route_tables if one.id == table).routes}
    assert (routes["0.0.0.0/0"].target, routes["0.0.0.0/0"].state) == (gateway, "active")
    assert routes["10.20.0.0/16"].target == "local"
    interface = next(one for one in view.interfaces if one.instance == made["InstanceId"])
    assert interface.addresses == ("10.20.1.4", "10.20.1.5")
    assert interface.public == {"10.20.1.4": made["PublicIpAddress"]}
    assert (interface.groups, interface.source_dest_check, interface.kind) == ((group,), True, "interface")
    ingress = next(one for one in view.groups if one.id == group).ingress
    assert [(one.protocol, one.ports, one.group, one.cidr) for one in ingress] == [("tcp", (80, 90), group, "")]
    instance = next(one for one in view.instances if one.id == made["InstanceId"])
    assert (instance.state, instance.interfaces, instance.zone) == ("running", {"0": interface.id}, "eu-central-1a")
    assert (cloud.vpc, gateway) in [(one.vpc, one.id) for one in view.internet_gateways]


def test_waiting_for_the_next_view(server, cloud, asked):
    """`after` and `wait`: the answer comes with the change, not with the next question."""
    version = view_of(asked, server).version
    answers = []
    thread = threading.Thread(target=lambda: answers.append(view_of(asked, server, f"?after={version}&wait=30")))
    thread.start()
    made = cloud.subnet()
    thread.join()
    assert made in [one.id for one in answers[0].subnets]
    assert answers[0].version > version
    assert view_of(asked, server, f"?after={answers[0].version}&wait=0.01").version >= answers[0].version


def test_a_refused_call_and_a_description_change_no_version(server, cloud, asked, refused):
    version = view_of(asked, server).version
    with refused("InvalidSubnet.Range"):
        cloud.subnet("10.99.0.0/24")
    cloud.ec2.describe_instances()
    assert view_of(asked, server).version == version


def test_faults_by_switch(own_server, asked, cloud_of):
    """Throttling and server errors, a number of times or for a share of calls; never by an action."""
    server = own_server()
    cloud = cloud_of(server.client())
    faults = [
        {"action": "RunInstances", "code": "InsufficientInstanceCapacity", "times": 1},
        {"action": "Describe*", "code": "RequestLimitExceeded", "times": 2},
    ]
    assert asked(server, "faults", "PUT", {"faults": faults})[0] == 200
    for call, code, status in (
        (cloud.ec2.describe_vpcs, "RequestLimitExceeded", 503),
        (cloud.ec2.describe_subnets, "RequestLimitExceeded", 503),
        (lambda: cloud.run("subnet-0123456789abcdef0"), "InsufficientInstanceCapacity", 500),
        (lambda: cloud.run("subnet-0123456789abcdef0"), "InvalidSubnetID.NotFound", 400),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    cloud.ec2.describe_vpcs()
    assert [one["met"] for one in json.loads(asked(server, "faults")[1])["faults"]] == [1, 2]
    asked(server, "faults", "PUT", {"faults": [{"action": "*", "code": "InternalError", "rate": 0.5}]})
    outcomes = set()
    for _ in range(40):
        try:
            cloud.ec2.describe_vpcs()
            outcomes.add("")
        except ClientError as error:
            outcomes.add(error.response["Error"]["Code"])
    assert outcomes == {"", "InternalError"}
    assert asked(server, "faults", "PUT", {"faults": [{"code": "InternalError"}]})[0] == 400
    assert asked(server, "faults", "PUT", {"faults": [{"action": "*", "code": "x", "rate": 2}]})[0] == 400


def plain(server, **parameters):
    """An EC2 call without a client: status and body."""
    body = urllib.parse.urlencode({**parameters, "Version": "2016-11-15"}).encode()
    request = urllib.request.Request(server.url, body, {"Content-Type": "application/x-www-form-urlencoded"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_what_is_no_action_is_refused(server):
    """Amazon EC2 API Reference, Error codes: InvalidAction, MissingAction."""
    status, body = plain(server, Action="MakeCoffee")
    assert (status, "<Code>InvalidAction</Code>" in body) == (400, True)
    status, body = plain(server)
    assert (status, "<Code>MissingAction</Code>" in body) == (400, True)


def test_an_action_that_is_not_simulated_says_so(cloud, refused):
    with refused("UnsupportedOperation"):
        cloud.ec2.create_verified_access_instance()


@pytest.mark.parametrize(
    ("call", "options"),
    [
        ("create_network_acl", {}),
        ("create_transit_gateway", {}),
        ("create_vpc", {"CidrBlock": "10.0.0.0/16", "AmazonProvidedIpv6CidrBlock": True}),
        ("associate_subnet_cidr_block", {"Ipv6CidrBlock": "2001:db8::/64"}),
        ("request_spot_instances", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_do_nothing_is_refused(cloud, refused, call, options):
    """Of what is not simulated nothing can be made, though moto would take it."""
    needed = {"create_network_acl": {"VpcId": cloud.vpc}, "associate_subnet_cidr_block": {"SubnetId": cloud.subnet()}}
    with refused("UnsupportedOperation"):
        getattr(cloud.ec2, call)(**options, **needed.get(call, {}))


def test_another_region_is_refused(server, refused):
    """There is one region; a client of another one would wait for its instances for ever."""
    import boto3

    other = boto3.client(
        "ec2", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    with refused("AuthFailure"):
        other.describe_vpcs()


def test_what_is_below_kip_is_no_service(server, asked):
    assert asked(server, "nothing")[0] == 404
    assert asked(server, "view?after=soon")[0] == 400


def test_a_port_in_use_is_one_clear_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "kip_conformance.infra.cloud.api", "--folder", str(tmp_path)]
        done = subprocess.run([*command, "--port", str(port)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 10
    assert done.stderr.splitlines() == [
        f"cloud API: port {port} on 127.0.0.1 is in use by another program: give another one, or 0 for a free one"
    ]


def test_a_state_that_cannot_be_read_is_one_clear_line(tmp_path):
    (tmp_path / "ec2.state").write_bytes(b"nonsense")
    command = [sys.executable, "-m", "kip_conformance.infra.cloud.api", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 10
    assert len(done.stderr.splitlines()) == 1
    assert "ec2.state cannot be read" in done.stderr


def test_the_address_is_all_that_a_client_needs(server, monkeypatch):
    """AWS SDKs and Tools Reference Guide, Service-specific endpoints: AWS_ENDPOINT_URL."""
    import boto3

    for name, value in (
        ("AWS_ENDPOINT_URL", server.url),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAAAAAAAAAAAAAAAAA"),
        ("AWS_SECRET_ACCESS_KEY", "any"),
    ):
        monkeypatch.setenv(name, value)
    page = (Path(__file__).parents[3] / "docs" / "cloud.md").read_text()
    code = next(part for part in page.split("```python\n")[1:] if "boto3" in part).partition("```")[0]
    seen: dict[str, Any] = {}
    exec(code, seen)
    shown = boto3.client("ec2").describe_instances(InstanceIds=[seen["instance"]])["Reservations"][0]["Instances"][0]
    assert shown["State"]["Name"] == "running"


def test_sigterm_ends_it_in_order(own_server, cloud_of):
    server = own_server()
    cloud_of(server.client()).make_vpc()
    assert server.signal(signal.SIGTERM) == 0
