"""A cell's way to ECR: a token with the role of its instance, layers out of S3."""

from __future__ import annotations

import json

import pytest
from kip_conformance.infra.cell import archive

from .registry_clients import HOST


@pytest.fixture(scope="module")
def itzo(region):
    return str(archive.build(region.control.folder.path / "itzo")[0])


def bake(region, machine, itzo, name):
    store = str(region.control.folder.path / "store")
    argv = ["/usr/bin/python3", "-I", itzo, "bake", store, str(region.ca), f"{HOST}/{name}"]
    return store, region.run(machine, *argv, timeout=60)


def test_an_instance_with_a_role_pulls_from_ecr(region, pushed, itzo):
    iam = region.client("iam")
    iam.create_role(RoleName="cell", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="cell")
    iam.add_role_to_instance_profile(InstanceProfileName="cell", RoleName="cell")
    machine = region.machine("public", IamInstanceProfile={"Name": "cell"})
    store, done = bake(region, machine, itzo, f"{pushed}:1")

    assert done.returncode == 0, done.stderr.decode()
    (config,) = (region.control.folder.path / "store").glob("*/config.json")
    assert json.loads(config.read_text())["Entrypoint"] == ["/file"]
    assert (config.parent / "rootfs/file").read_bytes().startswith(b"of the image\n")
    assert store


def test_an_instance_without_a_role_says_so(region, public, pushed, itzo):
    _, done = bake(region, public, itzo, f"{pushed}:1")

    assert done.returncode == 1
    said = done.stderr.decode()
    assert "the instance has no role" in said
    assert said.count("\n") == 1
