"""Readiness probes: the agent of a pod's node looks at the pod, and the API shows what it saw."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.readiness import every_pod_ready, no_pod_ready, probed_on_each_machine


@pytest.mark.requirement("N2P-04")
def test_http_and_tcp_probes_drive_readiness(own_pods, readiness, pods, budgets):
    """On every kind of node a pod is Ready while its HTTP or TCP readiness probe succeeds, and not while it fails."""
    plans = (*probed_on_each_machine(pods, "tcp"), *probed_on_each_machine(pods, "http"))
    probed = own_pods.start(*plans, ready=False)
    by_tcp, by_http = probed[: len(probed) // 2], probed[len(probed) // 2 :]
    eventually(lambda: readiness.of(probed), every_pod_ready, within=budgets.propagation)
    readiness.set(by_tcp, is_ready=False)
    readiness.set_http(by_http, is_ready=False)
    eventually(lambda: readiness.of(probed), no_pod_ready, within=budgets.propagation)
    readiness.set(by_tcp, is_ready=True)
    readiness.set_http(by_http, is_ready=True)
    eventually(lambda: readiness.of(probed), every_pod_ready, within=budgets.propagation)
