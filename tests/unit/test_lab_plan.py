"""The lab's address plan and what follows from it; descriptions that cross processes and versions."""

from __future__ import annotations

import json
from ipaddress import ip_network
from itertools import combinations

import pytest
from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.lab.plan import NODES, PLAN, SUBNETS
from kip_conformance.infra.lab.state import LabFolder, new_run_id
from kip_conformance.infra.targets.protocol import ClusterDescription, Place, PodRef


def test_the_ranges_do_not_overlap_and_differ_in_size():
    apart = (PLAN.vpc, PLAN.secondary, PLAN.peer, PLAN.on_prem, PLAN.on_prem_pods, PLAN.pods, PLAN.services)
    ranges = [ip_network(text) for text in apart]
    assert not any(one.overlaps(other) for one, other in combinations(ranges, 2))
    subnets = [ip_network(subnet.cidr) for subnet in SUBNETS]
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))
    assert len({subnet.prefixlen for subnet in subnets}) == len(subnets)
    assert all(any(one.subnet_of(ip_network(whole)) for whole in (PLAN.vpc, PLAN.secondary)) for one in subnets)
    assert ip_network(PLAN.peer_subnet).subnet_of(ip_network(PLAN.peer))
    assert len({ip_network(node.pod_cidr).prefixlen for node in NODES}) == len(NODES)
    assert all(ip_network(node.pod_cidr).subnet_of(ip_network(PLAN.pods)) for node in NODES)


def test_names_of_runs_are_checked():
    assert LabFolder.of(new_run_id())
    for name in ("", "../etc", "UPPER", "x" * 40, "-x"):
        with pytest.raises(UsageError, match="a run's name is"):
            LabFolder.of(name)


PLACE = Place("node-a", "pod", "node-a", "10.0.0.1", ("10.0.0.1",), (8080, 8081), "/s", PodRef("n", "p", "u"))


def test_a_description_survives_its_json():
    description = ClusterDescription("r", "lab", "/s", "/k", (PLACE,), ("iptables",), ("exec",), {"a": "1"}, {"x": [1]})

    assert ClusterDescription.from_json(description.to_json()) == description


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "f.json: written by another version"),
        ({"places": [{}]}, "f.json: damaged cluster description"),
        ({"surprise": 1}, "f.json: damaged cluster description"),
    ],
)
def test_a_description_of_another_form_is_one_clear_line(change, message):
    value = json.loads(ClusterDescription("r", "lab", "/s", "/k").to_json())

    with pytest.raises(UsageError, match=message):
        ClusterDescription.from_json(json.dumps({**value, **change}), origin="f.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_what_is_no_description_is_one_clear_line(text):
    with pytest.raises(UsageError, match=r"f\.json: not a cluster description"):
        ClusterDescription.from_json(text, origin="f.json")
