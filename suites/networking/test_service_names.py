"""Services by name, in every proxy mode. What else cluster DNS must do is judged by the DNS rows."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually


@pytest.mark.requirement("SVC-16")
def test_a_service_is_reached_by_its_name_from_another_namespace(selectorless, probe, pods, protocol):
    """The Service's name, in each of its qualified forms, works as host name for pods of another namespace."""
    web = selectorless.service(pods, protocol)
    selectorless.add_slice(web, pods)
    answered = every_pair(pods, [web.target], is_open())
    eventually(lambda: probe.all(pods, [web.target], protocol), answered, within=web.budget)

    names = [web.known_as(name) for name in web.host_names(probe.cluster_domain(pods[0]))]
    expected = every_pair(pods, names, is_open())
    eventually(lambda: probe.all(pods, names, protocol), expected, within=web.budget)
