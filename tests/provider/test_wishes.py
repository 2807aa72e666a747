"""What pods ask of their cells, and what provider.yaml says, is what the cloud's API shows."""

from __future__ import annotations

import pytest
from kip_conformance.infra.cloud.start import cloud_client

PREFIX = "pod.elotl.co/"


def groups_of(world, pod) -> set[str]:
    (instance,) = world.instances(pod)
    return {one["GroupId"] for one in instance["SecurityGroups"]}


@pytest.fixture(scope="module")
def group(world):
    made = world.ec2.create_security_group(VpcId=world.vpc.vpc, GroupName="extra", Description="extra")["GroupId"]
    yield made
    world.until(lambda: _deleted(world, made), "the group is still in use")


def _deleted(world, group) -> bool:
    from botocore.exceptions import ClientError

    try:
        world.ec2.delete_security_group(GroupId=group)
    except ClientError:
        return False
    return True


def test_public_subnets_give_public_addresses_unless_the_pod_does_not_want_one(world):
    public, private = world.pod(), world.pod(annotations={f"{PREFIX}private-ip-only": "true"})
    world.wait_running(public, private)

    assert world.instances(public)[0].get("PublicIpAddress")
    assert not world.instances(private)[0].get("PublicIpAddress")
    world.delete(public, private)


def test_the_cells_group_admits_every_range_of_the_vpc_and_is_repaired(world):
    pod = world.pod()
    world.wait_running(pod)
    (own,) = groups_of(world, pod)
    found = world.ec2.describe_security_groups(GroupIds=[own])["SecurityGroups"][0]
    assert found["GroupName"] == f"kip-{world.controller()}-CellSecurityGroup"
    rules = {
        (one["IpProtocol"], peer["CidrIp"]) for one in found["IpPermissions"] for peer in one["IpRanges"]
    }  # fmt: skip
    ranges = ("10.20.0.0/16", "100.64.0.0/20")
    wanted = {(protocol, cidr) for protocol in ("tcp", "udp", "icmp") for cidr in ranges}
    assert rules == wanted
    world.ec2.revoke_security_group_ingress(GroupId=own, IpPermissions=found["IpPermissions"][:1])
    world.ec2.authorize_security_group_ingress(
        GroupId=own, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
    )

    def repaired() -> bool:
        now = world.ec2.describe_security_groups(GroupIds=[own])["SecurityGroups"][0]["IpPermissions"]
        return wanted == {(one["IpProtocol"], peer["CidrIp"]) for one in now for peer in one["IpRanges"]}

    world.until(repaired, "the group is as it was made by hand")
    world.delete(pod)


def test_groups_of_the_annotation_come_on_top(world, group):
    pod = world.pod(annotations={f"{PREFIX}security-groups": f" {group} "})
    world.wait_running(pod)

    assert group in groups_of(world, pod)
    assert len(groups_of(world, pod)) == 2
    world.delete(pod)


def test_the_instance_profile_of_the_annotation_is_the_cells(world):
    iam = cloud_client("iam", world.url)
    arn = iam.create_instance_profile(InstanceProfileName="reader")["InstanceProfile"]["Arn"]
    by_name, by_arn = (world.pod(annotations={f"{PREFIX}instance-profile": one}) for one in ("reader", arn))
    world.wait_running(by_name, by_arn)

    assert {world.instances(pod)[0]["IamInstanceProfile"]["Arn"] for pod in (by_name, by_arn)} == {arn}
    world.delete(by_name, by_arn)


def test_a_cloud_route_leads_to_the_cell_and_goes_with_it(world):
    pod = world.pod(annotations={f"{PREFIX}cloud-route": "172.31.7.9/24 172.31.9.0/28"})
    world.wait_running(pod)
    (instance,) = world.instances(pod)
    table = world.vpc.tables["public"]

    def routes() -> dict[str, str]:
        found = world.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
        return {one["DestinationCidrBlock"]: one.get("InstanceId", "") for one in found}

    world.until(lambda: routes().get("172.31.7.0/24") == instance["InstanceId"], "there is no route")
    assert routes()["172.31.9.0/28"] == instance["InstanceId"]
    assert instance["SourceDestCheck"] is False
    second = world.pod(annotations={f"{PREFIX}cloud-route": "172.31.7.0/24"})
    world.wait_event(second, "InvalidAnnotation", instance["InstanceId"])
    assert not world.instances(second)
    world.delete(pod, second)
    assert not {"172.31.7.0/24", "172.31.9.0/28"} & set(routes())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("private-ip-only", "yes", "neither"),
        ("security-groups", "default", "no security group's id"),
        ("cloud-route", "10.0.0.0/33", "no IPv4 range"),
        ("instance-type", "c5*", "no instance type"),
        ("instance-profile", "a b", "neither an instance profile's name nor its ARN"),
        ("healthcheck-healthy-timeout", "-1", "whole number"),
        ("launch-type", "spot", "not supported"),
        ("privat-ip-only", "true", "unknown"),
    ],
)
def test_a_wrong_annotation_is_an_event_and_nothing_is_launched_until_it_is_right(world, name, value, said):
    pod = world.pod(annotations={PREFIX + name: value})
    world.wait_event(pod, "InvalidAnnotation", said)

    assert not world.instances(pod, "pending", "running", "shutting-down", "terminated")
    assert world.status(pod)["phase"] == "Pending"
    world.delete(pod)


def test_an_annotation_that_is_put_right_starts_the_pod(world):
    pod = world.pod(annotations={f"{PREFIX}private-ip-only": "yes"})
    world.wait_event(pod, "InvalidAnnotation")
    world.api.patch(
        "Pod", pod["metadata"]["name"], {"metadata": {"annotations": {f"{PREFIX}private-ip-only": "true"}}}, "default"
    )

    world.wait_running(pod)
    world.delete(pod)


def test_a_group_that_does_not_exist_is_said(world):
    pod = world.pod(annotations={f"{PREFIX}security-groups": "sg-0123456789abcdef0"})
    world.wait_event(pod, "FailedCreateCell", "InvalidGroup.NotFound")

    assert not world.instances(pod)
    world.delete(pod)


def test_a_pod_that_asks_for_what_a_cell_cannot_do_fails_and_says_the_field(world):
    path = [{"name": "host", "hostPath": {"path": "/"}}]
    mount = [{"name": "main", "image": "none", "volumeMounts": [{"name": "host", "mountPath": "/host"}]}]
    pod = world.pod(volumes=path, containers=mount)
    refused = world.pod(annotations={"double/refuse": "spec.containers[0].image: no such thing"})

    world.wait_event(pod, "Unsupported", "hostPath")
    world.wait_event(refused, "Unsupported", "spec.containers[0].image")
    world.until(lambda: world.status(pod).get("phase") == "Failed", "it has not failed")
    world.until(lambda: world.status(refused).get("phase") == "Failed", "it has not failed")
    assert not world.instances(pod, "pending", "running", "shutting-down", "terminated")
    world.until(lambda: not world.instances(refused), "an instance is left")
    world.delete(pod, refused)


def test_a_pod_on_the_host_network_has_one_address_and_it_is_the_cells(world):
    pod = world.pod(hostNetwork=True)
    world.until(lambda: world.instances(pod), "no instance")
    (instance,) = world.instances(pod)

    assert len(instance["NetworkInterfaces"][0]["PrivateIpAddresses"]) == 1
    world.delete(pod)
