"""What a container can count on from its first instruction on."""

from __future__ import annotations

import pytest
from kip_conformance.infra.workloads.first_instruction import FIRST, early_container, read_report
from kip_conformance.infra.workloads.pods import PodPlan


@pytest.mark.requirement("NOD-02")
def test_network_and_dns_work_at_the_first_instruction(own_pods, pod_machines, pods, api, budgets):
    """The first container of a pod reaches another pod and resolves a name with its first attempt at each."""
    plans = [
        PodPlan(
            f"early-on-{machine}",
            machine,
            spec={
                "initContainers": [
                    early_container(
                        own_pods.image,
                        next(pod for pod in pods if pod.machine != machine or len(pod_machines) == 1),
                        "kubernetes.default",
                        timeout=budgets.probe_timeout,
                    )
                ]
            },
        )
        for machine in pod_machines
    ]
    told = {pod.name: read_report(api.termination_message(pod, FIRST)) for pod in own_pods.start(*plans)}
    assert told == {name: {"tcp": "works", "dns": "works"} for name in told}
