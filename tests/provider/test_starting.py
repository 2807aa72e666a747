"""What keeps the provider or a cell from coming up is said in one line; what goes away meanwhile is waited for."""

from __future__ import annotations

import signal

import pytest
import yaml
from kip_conformance.infra.lab import control_plane
from kip_conformance.infra.lab.plan import PLAN

from .world import PROVIDER_MACHINE


@pytest.fixture
def stopped(world):
    """No provider runs; afterwards one does, as it was."""
    world.kill_provider(signal.SIGTERM)
    yield
    world.configure()
    world.start_provider()


def last_words(world) -> tuple[int, str]:
    code = world.control.wait_daemon(PROVIDER_MACHINE, "provider", within=30)
    return code, world.provider_log().strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("aws", "said"),
    [
        ({"subnetID": "subnet-0123456789abcdef0"}, "cloud.aws.subnetID: there is no subnet subnet-0123456789abcdef0"),
        ({"vpcID": "vpc-0123456789abcdef0"}, "cloud.aws.vpcID is vpc-0123456789abcdef0, and subnet"),
    ],
)
def test_a_place_that_is_not_there_ends_the_provider_with_one_line(world, stopped, aws, said):
    world.configure()
    told = yaml.safe_load(world.config_file.read_text())
    told["cloud"]["aws"] |= aws
    world.config_file.write_text(yaml.safe_dump(told))
    world.start_provider()

    code, line = last_words(world)
    assert code == 4
    assert said in line


def test_an_unknown_field_ends_the_provider_with_its_line(world, stopped):
    world.configure(privateIpOnly=True)
    world.start_provider()

    code, line = last_words(world)
    assert code == 4
    assert "provider.yaml:" in line
    assert "unknown field cells.privateIpOnly" in line


def test_another_subnet_is_used_when_it_is_named_and_is_private(world, stopped):
    world.configure()
    told = yaml.safe_load(world.config_file.read_text())
    told["cloud"]["aws"]["subnetID"] = world.vpc.subnets["private-a"]
    world.config_file.write_text(yaml.safe_dump(told))
    world.ec2.modify_subnet_attribute(SubnetId=world.vpc.subnets["private-a"], MapPublicIpOnLaunch={"Value": True})
    world.start_provider()
    pod = world.pod()
    world.wait_running(pod)
    (instance,) = world.instances(pod)
    world.delete(pod)
    world.ec2.modify_subnet_attribute(SubnetId=world.vpc.subnets["private-a"], MapPublicIpOnLaunch={"Value": False})
    world.kill_provider(signal.SIGTERM)

    assert instance["SubnetId"] == world.vpc.subnets["private-a"]
    assert not instance.get("PublicIpAddress")


def test_a_cell_that_cannot_fetch_its_agent_is_explained(world, stopped):
    itzo = {"url": "http://10.20.1.10:8001", "version": "double", "sha256": "0" * 64}
    world.configure(itzo=itzo)
    world.start_provider()
    pod = world.pod()
    said = world.wait_event(pod, "CellNotUp", "http://10.20.1.10:8001/itzo-double", within=40)
    world.delete(pod)
    world.kill_provider(signal.SIGTERM)

    assert world.vpc.subnets["public-a"] in said


def test_an_api_server_that_is_killed_costs_nothing(world):
    before = world.pod()
    (running,) = world.wait_running(before)
    world.control.signal("control-plane", "kube-apiserver", signal.SIGKILL)
    world.control.wait_daemon("control-plane", "kube-apiserver", within=10)
    server = control_plane.api_server(world.tools["kube-apiserver"], world.control.folder.pki, PLAN)
    world.control.daemon("kube-apiserver", server, machine="control-plane")
    world.until(world.api.is_ready, "the API server is not ready", within=60)
    after = world.pod()

    world.wait_running(after, within=60)
    assert world.status(before)["podIP"] == running["podIP"]
    world.delete(before, after)
