"""The API server and pods: it proxies to them, they are its clients."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.api_access import user_seen_by_the_api
from kip_conformance.infra.workloads.pods import PodPlan


@pytest.mark.requirement("N2P-05")
def test_the_api_server_proxies_to_pods_and_services(service, api_proxy, probe, pods):
    """A GET through the API server's proxy reaches each pod by its name, and an endpoint by the name of a Service."""
    probe.vouch(pods)
    seen = {pod.name: api_proxy.to_pod(pod) for pod in pods}
    wrong = [f"proxied to pod {name}: {answer}" for name, answer in seen.items() if answer.name != name]
    assert not wrong, "; ".join(wrong)
    web = service(pods, "tcp")
    eventually(lambda: api_proxy.to_service(web), lambda answer: answer.name in web.endpoints, within=web.budget)


@pytest.mark.requirement("N2P-06")
def test_a_pod_is_a_client_of_the_api_server(own_pods, api, pods, budgets):
    """A pod reaches kubernetes.default with TLS that its CA vouches for, and its ServiceAccount token is accepted."""
    with_token = {"automountServiceAccountToken": True}
    clients = own_pods.start(
        PodPlan("api-client", pods[0].machine, spec=with_token),
        PodPlan("api-client-2", pods[-1].machine, spec=with_token),
    )
    expected = f"system:serviceaccount:{own_pods.namespace}:default"
    seen = {pod.name: user_seen_by_the_api(api, pod, timeout=budgets.propagation) for pod in clients}
    wrong = [f"{name}: {user}" for name, user in seen.items() if user != expected]
    assert not wrong, f"expected user {expected}; {'; '.join(wrong)}"
