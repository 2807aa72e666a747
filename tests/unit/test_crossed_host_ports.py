"""Which pods want a HostPort that another node on the same machine has given away."""

from __future__ import annotations

import itertools

from kip_conformance.infra.targets.protocol import Place, PodRef
from kip_conformance.infra.workloads.host_ports import HostPorts
from kip_conformance.infra.workloads.reading import PodView


def place(name: str, node: str = "") -> Place:
    return Place(name, "pod", name, "10.0.0.9", ("10.0.0.9",), (8080,), "/s", PodRef("ns", name, "1"), node)


HOST_IPS = {"node-a": "10.0.0.1", "cell-a": "10.0.0.1", "cell-b": "10.0.0.2"}


class Api:
    """Pods on a kubelet node and on two virtual nodes; the first virtual one has its HostPorts on the kubelet's."""

    def pod(self, of: Place) -> PodView:
        return PodView("ns", of.name, of.node, "Running", of.address, (of.address,), False, HOST_IPS[of.name])


def test_pods_cross_where_two_nodes_are_one_machine_and_those_on_kubelet_nodes_come_first():
    places = [place("cell-a", "kip"), place("node-a"), place("cell-b", "kip-2")]
    host_ports = HostPorts(Api(), places, itertools.count(25000))
    ports = host_ports.one_each(["cell-a", "node-a", "cell-b"])

    crossed = host_ports.crossed("beside", ports)

    wanted = {plan.name: plan.container["ports"][0]["hostPort"] for plan in crossed}
    assert list(wanted.items()) == [
        ("beside-cell-a-node-a", ports["cell-a"].number),
        ("beside-node-a-cell-a", ports["node-a"].number),
    ]
