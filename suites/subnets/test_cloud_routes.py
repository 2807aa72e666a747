"""The cloud's routes to pods of kubelet nodes."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open


@pytest.mark.requirement("CRT-01")
def test_cloud_routes_lead_to_the_pods_of_nodes(cloud_routes, api, cells, cell_pods, near_pods, probe):
    """In every subnet with nodes or cells each node's pod CIDR leads to its instance; pods and cells reach each other.

    The instance's interface takes what is not addressed to itself.
    """
    nodes = cloud_routes.nodes(api.kubelet_nodes())
    wrong = cloud_routes.wrong(nodes, [cells.at(pod.address).subnet.id for pod in cell_pods])
    assert not wrong, f"cloud routes to pods: {'; '.join(wrong)}"
    there = probe.all(near_pods, cell_pods, "tcp", title="to cells")
    assert there == every_pair(near_pods, cell_pods, is_open())
    back = probe.all(cell_pods, near_pods, "tcp", title="from cells")
    assert back == every_pair(cell_pods, near_pods, is_open())
