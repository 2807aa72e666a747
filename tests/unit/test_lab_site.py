"""The lab's site on premises as values: what is around the cloud, and what its nodes are told of each other's pods."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from kip_conformance.infra.cloud.outside import Outside
from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.fabric.state import VpnConnection
from kip_conformance.infra.lab.bring_up import nodes_of
from kip_conformance.infra.lab.node import NodeFiles
from kip_conformance.infra.lab.plan import NODES, ON_PREM_GATEWAY, ON_PREM_HOST, ON_PREM_NODE, PLAN
from kip_conformance.infra.lab.site import joining, with_site
from kip_conformance.infra.lab.state import LabFolder
from kip_conformance.infra.targets.plan import FOUNDATION, FURTHER, parse_pair, planned_places


@pytest.mark.parametrize(("files", "names"), [(None, 2), ({"/etc/hosts": ""}, 3)])
def test_the_site_is_behind_its_gateway_with_its_node_or_without(files, names):
    around = with_site(Outside(), PLAN, ["prober"], files)

    around.validate()
    assert Outside.from_json(around.to_json()) == around
    assert around.customers == {PLAN.customer: ON_PREM_GATEWAY.name}
    assert len(around.machines) == len(around.hosts) == names
    places = {host.machine: host for host in around.hosts}
    assert all(ip_address(host.address) in ip_network(PLAN.on_prem) for host in places.values())
    assert {host.gateway for name, host in places.items() if name != ON_PREM_GATEWAY.name} == {ON_PREM_GATEWAY.address}
    to_pods = dict(places[ON_PREM_GATEWAY.name].routes)
    assert to_pods == ({} if files is None else dict.fromkeys((PLAN.on_prem_pods, PLAN.pods), ON_PREM_NODE.address))
    programs = {machine.name: [one.name for one in machine.programs] for machine in around.machines}
    assert programs[ON_PREM_HOST.name] == ["prober"]


def test_every_node_knows_the_pods_on_the_other_side_of_the_tunnel():
    told = joining(PLAN)

    assert set(told) == {ON_PREM_NODE.name, *(node.name for node in NODES)}
    lines, neighbours = told[ON_PREM_NODE.name]
    for node in NODES:
        assert f"route add {node.pod_cidr} via {node.address} dev kip-site onlink\n" in lines
        assert f"dst {node.address} " in neighbours
        back, _ = told[node.name]
        assert f"route add {PLAN.on_prem_pods} via {ON_PREM_NODE.address} table 50 dev kip-site onlink\n" in back
        # What the node itself sends goes by the VPC's routes: only what its pods send cannot come back that way.
        assert f"from {node.pod_cidr} to {PLAN.on_prem_pods} lookup 50\n" in back
    assert len({line.split()[4] for text, _ in told.values() for line in text.splitlines() if "link add" in line}) == 3


def test_what_the_nodes_wrap_fits_into_the_tunnel():
    tunnel = VpnConnection("vpn", "vgw", "machine", ())

    assert PLAN.vxlan_mtu + 50 <= tunnel.mtu
    assert ON_PREM_NODE.pod_mtu == PLAN.vxlan_mtu


def test_the_sites_node_is_there_when_a_place_is_on_it():
    assert nodes_of(FOUNDATION) == NODES
    assert nodes_of(planned_places(["on-prem-host"])) == NODES
    assert nodes_of(planned_places(["hostnet-on-prem"])) == (*NODES, ON_PREM_NODE)


def test_further_places_are_asked_for_by_name():
    assert planned_places() == FOUNDATION
    assert planned_places(["all"]) == planned_places(["cell-a", "all"]) == (*FOUNDATION, *FURTHER)
    named = {place.name: place for place in FURTHER}
    both = (*FOUNDATION, named["on-prem-node"], named["on-prem-host"])
    assert planned_places(["on-prem-host", "on-prem-node"]) == both
    assert parse_pair("node-a-to-on-prem-node", planned_places(["on-prem-node"])) == ("node-a", "on-prem-node")
    with pytest.raises(UsageError, match="unknown place 'on-prem-node'"):
        parse_pair("node-a-to-on-prem-node")
    with pytest.raises(UsageError, match="place 'cellar': unknown; known beside the foundation's: on-prem-node, "):
        planned_places(["cellar"])


def test_a_kubelet_waits_for_its_container_runtime(tmp_path):
    """One that was started a moment too early ended at once, and the lab with it."""
    node = NodeFiles(LabFolder(tmp_path / "lab"), ON_PREM_NODE, PLAN)

    assert "containerd.sock is not there" in node.missing_socket()
    node.socket.parent.mkdir(parents=True)
    node.socket.touch()
    assert node.missing_socket() == ""
