"""A pod's identity as Services and cluster DNS pass it on."""

from __future__ import annotations

import pytest
from kip_conformance.infra.errors import NotRunnable
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.probe.answers import Resolution
from kip_conformance.infra.workloads.services import PortPlan


@pytest.mark.requirement("IDN-05")
def test_an_endpoint_sees_the_pod_ip_of_its_client(service, probe, pods, features, protocol):
    """Through a ClusterIP an endpoint sees the client's podIP as source, unless the client is that endpoint itself."""
    if "masquerade-all" in features:
        raise NotRunnable("the target declares masquerade-all: its service proxy hides sources on purpose")
    web = service(pods, protocol)
    reached = every_pair(pods, (web.target, *pods), is_open(), with_self=True)
    seen = every_pair(pods, pods, lambda client, endpoint: is_open(source=client))
    eventually(lambda: probe.through(pods, web.target), reached | seen, within=web.budget)


@pytest.mark.requirement("IDN-08")
def test_endpoint_slice_and_headless_record_agree_with_the_pod_ip(services, api, probe, pods):
    """The podIPs behind a headless Service are the addresses of its EndpointSlices and of its A records."""
    pod_ips = frozenset(api.pod(pod).pod_ip for pod in pods)
    (headless,) = services.make(pods, PortPlan(8080, pods[0].ports[0]), spec={"clusterIP": "None"})
    name, namespace = headless.name, headless.namespace

    def slices_list_the_pod_ips(addresses: frozenset[str]) -> bool:
        return addresses == pod_ips

    def records_hold_the_pod_ips(answer: Resolution) -> bool:
        return frozenset(answer.addresses) == pod_ips

    eventually(lambda: api.endpoint_addresses(name, namespace), slices_list_the_pod_ips, within=headless.budget)
    for pod in pods:
        eventually(
            lambda pod=pod: probe.resolve(pod, f"{name}.{namespace}.svc"),
            records_hold_the_pod_ips,
            within=headless.budget,
        )
