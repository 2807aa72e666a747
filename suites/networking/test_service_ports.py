"""The ports of one Service are independent of each other, in every proxy mode."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.services import PortPlan


@pytest.mark.requirement("SVC-05")
def test_each_port_leads_to_its_own_until_it_is_removed(services, selectorless, probe, pods, protocol):
    """Each port leads to its own endpoints; one number serves TCP and UDP; a removed port answers no more."""
    first, second = pods[0].ports[:2]
    some, others = pods[: len(pods) // 2], pods[len(pods) // 2 :]
    ports = {PortPlan(80, first, "tcp"): some, PortPlan(80, first, "udp"): some, PortPlan(81, second, protocol): others}
    made = {port.port_name: port for port in selectorless.with_ports(ports)}
    targets = [port.target_named(name) for name, port in made.items()]
    expected = every_pair(pods, targets, is_open())  # an endpoint of another port would be the wrong peer
    eventually(lambda: probe.all(pods, targets, protocol), expected, within=made["tcp-80"].budget)

    removed = made[f"{protocol}-80"]
    services.drop_port(removed)
    expected |= every_pair(pods, [removed.target_named(removed.port_name)], is_denied)
    eventually(lambda: probe.all(pods, targets, protocol), expected, within=removed.budget)
