"""What is around a cloud: its file, its contradictions, and the names that the world outside has."""

from __future__ import annotations

import dataclasses

import pytest
from kip_conformance.infra.cloud.facts import Upstream
from kip_conformance.infra.cloud.link_local.world import WorldTable
from kip_conformance.infra.cloud.outside import (
    OUTSIDE,
    Outside,
    OutsideMachine,
    Program,
    read_outside,
    world_of,
    write_outside,
)
from kip_conformance.infra.cloud.region.world import PublicImages, world
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.state import Host, Lan
from kip_conformance.infra.lab.state import LabFolder

WEB = Outside(
    lans=(OUTSIDE, Lan("site", "192.168.50.0/24")),
    hosts=(
        Host("web", "outside", "198.51.100.10", routes=(("10.0.0.0/8", "198.51.100.1"),), also=("198.51.100.11",)),
        Host("gateway", "site", "192.168.50.1", device="lan0", gateway="-"),
    ),
    services={"s3": "192.0.2.10"},
    customers={"198.51.100.10": "gateway"},
    upstream=Upstream("internet", "198.51.100.11"),
    machines=(OutsideMachine("web", (Program("prober", ("python3", "prober.py"), again=True),), {"/etc/hosts": ""}),),
    names={"web.example": "198.51.100.10", "*.s3.example": "192.0.2.10"},
)


def test_what_is_written_is_read(tmp_path):
    folder = LabFolder(tmp_path)
    assert read_outside(folder) == Outside()
    write_outside(folder, WEB)
    assert read_outside(folder) == WEB


def test_the_default_world_is_written_and_read_and_has_no_contradiction(tmp_path):
    made = world(LabFolder(tmp_path), "eu-central-1", "123456789012", PublicImages(tmp_path / "program", tmp_path))
    made.validate()
    assert Outside.from_json(made.to_json()) == made
    assert {one.name for one in made.machines} == {"services", "web", "resolver", "registry"}
    assert made.address_of("com.amazonaws.eu-central-1.ecr.dkr") == "192.0.2.73"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"machines": (OutsideMachine("nowhere"),)}, "machine nowhere is at no place"),
        ({"customers": {"198.51.100.9": "nobody"}}, "machine nobody is at no place"),
        ({"hosts": (Host("web", "outside", "10.0.0.1"),)}, "10.0.0.1 is no host address of outside"),
        ({"hosts": (Host("web", "outside", "198.51.100.9", also=("x",)),)}, "x is no IPv4 address"),
        (
            {"hosts": (*WEB.hosts, Host("b", "outside", "198.51.100.11"))},
            "198.51.100.11 is given twice: to web/eth0 and to b/eth0",
        ),
    ],
)
def test_what_contradicts_itself_is_not_written(tmp_path, change, said):
    folder = LabFolder(tmp_path)
    write_outside(folder, WEB)
    with pytest.raises(HarnessError, match=said):
        write_outside(folder, dataclasses.replace(WEB, **change))
    assert read_outside(folder) == WEB


@pytest.mark.parametrize("text", ["", "[]", "{", '{"hosts": [{"machine": 1}]}', '{"unknown": 1}'])
def test_a_file_that_says_something_else_is_named(tmp_path, text):
    (tmp_path / "outside.json").write_text(text)
    with pytest.raises(HarnessError, match=r"outside\.json"):
        read_outside(LabFolder(tmp_path))


def test_the_resolver_is_where_its_address_is():
    said = world_of(WEB)
    assert said is not None
    assert (said.netns, said.address) == ("m-web", "198.51.100.11")
    assert world_of(dataclasses.replace(WEB, upstream=None)) is None
    assert world_of(dataclasses.replace(WEB, upstream=Upstream("internet", "198.51.100.53"))) is None
    assert world_of(dataclasses.replace(WEB, names={})) is None


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("web.example", ("198.51.100.10",)),
        ("bucket.s3.example", ("192.0.2.10",)),
        ("a.b.s3.example", ("192.0.2.10",)),
        ("s3.example", ()),
        ("example", ()),
        ("ec2-203-0-113-5.eu-central-1.compute.amazonaws.com", ("203.0.113.5",)),
        ("ec2-203-0-113-5.compute-1.amazonaws.com", ("203.0.113.5",)),
    ],
)
def test_names_of_the_world(name, addresses):
    found = WorldTable.of(world_of(WEB)).find(name)
    assert (found.exists, found.addresses) == (True, addresses)


@pytest.mark.parametrize(
    "name",
    ["nobody.example", "x.web.example", "ec2-203-0-113-555.eu-central-1.compute.amazonaws.com", "web.example.com"],
)
def test_names_of_nobody(name):
    assert not WorldTable.of(world_of(WEB)).find(name).exists
