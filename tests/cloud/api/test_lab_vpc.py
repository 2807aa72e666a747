"""What the lab makes of the cloud's API for its nodes, and the network that follows from it."""

from __future__ import annotations

import json
import urllib.request

from kip_conformance.infra.cloud.network import network_of
from kip_conformance.infra.cloud.outside import Outside
from kip_conformance.infra.cloud.view import CloudView
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, PLAN
from kip_conformance.infra.lab.vpc import make_vpc


def test_nodes_are_instances_at_their_addresses_and_pod_ranges_are_routes_to_them(server):
    instances = make_vpc(server.client(), PLAN)
    with urllib.request.urlopen(f"{server.url}/_kip/view") as answer:
        view = CloudView.from_json(answer.read())
    state = network_of(view, Outside())
    state.validate()

    assert set(instances) == {CONTROL_PLANE.name, *(node.name for node in NODES)}
    for node in (CONTROL_PLANE, *NODES):
        interface = state.interface(node.name)
        assert (interface.machine, interface.addresses) == (node.name, (node.address,))
        assert not interface.source_dest_check
    main = state.vpc("main")
    assert [subnet.cidr for subnet in main.subnets] == [PLAN.public_a, PLAN.private_a]
    for subnet in main.subnets:
        table = next(one for one in main.route_tables if one.name == subnet.route_table)
        targets = {route.destination: route.target for route in table.routes}
        assert {node.pod_cidr: node.name for node in NODES}.items() <= targets.items()


def test_the_view_is_plain_json(server):
    with urllib.request.urlopen(f"{server.url}/_kip/view") as answer:
        text = answer.read()

    assert json.loads(CloudView.from_json(text).to_json()) == json.loads(text)
