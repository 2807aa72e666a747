"""What a lab's provider outside of the cells' network is told, and that nothing of it stays."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import pytest
import yaml
from kip_conformance.infra.lab import cells
from kip_conformance.infra.lab.outside_provider import LabOutsideProvider

TOLD = {"cells": {"nametag": "lab", "extraCIDRs": ["10.244.0.0/16"]}, "cloud": {"aws": {"region": "eu-central-1"}}}
ARGV = [
    *("python", "-m", "provider", "--config", "provider.yaml", "--nodename", "kip-node", "--address", "10.20.1.11"),
    *("--kubelet-certificate", "a.crt", "--kubelet-key", "a.key"),
]


class Control:
    def __init__(self, path):
        self.folder = SimpleNamespace(path=path, run_id="mine", pki=path / "pki", machine=self._machine)
        self.ran, self.code, self.said = [], 2, b"first\nkip-provider: no\n"
        (path / "provider.yaml").write_text(yaml.safe_dump(TOLD))
        (self._machine("node-a") / "provider.json").write_text(json.dumps(ARGV))

    def _machine(self, name):
        folder = self.folder.path / name
        folder.mkdir(exist_ok=True)
        return folder

    def run(self, argv, *, machine, **_):
        self.ran.append((machine, argv))
        code = self.code if argv[0] == "timeout" else 0
        return SimpleNamespace(returncode=code, stderr=self.said)

    def daemon(self, name, argv, *, machine, env):
        self.ran.append((machine, argv))

    def end_daemon(self, machine, name):
        self.ran.append((machine, "ended"))


class Api:
    def __init__(self):
        self.deleted = []

    def find(self, kind, name, namespace):
        return {"data": {"controller-id": base64.b64encode(b"c0ffee").decode()}}

    def delete(self, kind, name, namespace=None):
        self.deleted.append((kind, name))


class Ec2:
    def __init__(self):
        self.alive, self.groups = ["i-1"], ["sg-1"]

    def describe_vpc_endpoints(self, Filters):
        return {"VpcEndpoints": [{"NetworkInterfaceIds": ["eni-1"]}]}

    def describe_network_interfaces(self, NetworkInterfaceIds):
        assert NetworkInterfaceIds == ["eni-1"]
        return {"NetworkInterfaces": [{"PrivateIpAddress": "10.20.16.6"}]}

    def describe_instances(self, Filters):
        assert Filters[0]["Values"] == ["c0ffee"]
        alive, self.alive = self.alive, []
        return {"Reservations": [{"Instances": [{"InstanceId": one} for one in alive]}]}

    def describe_security_groups(self, Filters):
        assert Filters[0]["Values"] == ["c0ffee"]
        return {"SecurityGroups": [{"GroupId": one} for one in self.groups]}

    def delete_security_group(self, GroupId):
        self.groups.remove(GroupId)


@pytest.fixture
def world(tmp_path):
    return SimpleNamespace(control=Control(tmp_path), api=Api(), ec2=Ec2())


@pytest.fixture
def provider(world):
    return LabOutsideProvider(world.control, world.api, world.ec2)


def told(world):
    return yaml.safe_load((world.control.folder.path / "on-prem-host" / "provider.yaml").read_text())


def test_it_is_told_what_the_others_are_and_a_subnet(world, provider):
    with provider:
        assert provider.start("subnet-1") == "kip-outside"
    machine, argv = world.control.ran[0]
    assert machine == "on-prem-host"
    assert argv[argv.index("--nodename") + 1] == "kip-outside"
    assert argv[argv.index("--address") + 1] == "192.168.50.20"
    assert told(world)["cloud"]["aws"] == {"region": "eu-central-1", "subnetID": "subnet-1"}
    assert told(world)["cells"] == {"nametag": "lab", "extraCIDRs": ["10.244.0.0/16", "192.168.50.0/24"]}
    assert "10.20.16.6 ec2.eu-central-1" in (world.control.folder.path / "on-prem-host/provider-hosts").read_text()


def test_nothing_stays(world, provider):
    with provider:
        provider.start("subnet-1")
    assert world.control.ran[-1] == ("on-prem-host", "ended")
    assert world.ec2.groups == []
    assert world.api.deleted == [("Node", "kip-outside"), ("Secret", "kip-provider-kip-outside")]
    assert cells.provider_settings(world.control) == TOLD


@pytest.mark.parametrize(("code", "refusal"), [(2, "kip-provider: no"), (124, ""), (0, "")])
def test_what_it_says_last_is_why_it_does_not_start(world, provider, code, refusal):
    world.control.code = code
    with provider:
        assert provider.refusal("") == refusal
    assert "subnetID" not in told(world)["cloud"]["aws"]
