"""What a node must be able to do with the pods that run on it."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import is_open
from kip_conformance.infra.judge.pairs import each_of, on_one_machine
from kip_conformance.infra.workloads.reading import Ran


@pytest.mark.requirement("N2P-01")
def test_an_agent_on_a_node_reaches_every_pod_on_that_node(probe, hosts, hostnets, pods, protocol):
    """From a node's own network namespace every pod on it is reached, with one of the node's addresses as source."""
    agents = (*hosts, *hostnets)
    own = {agent.name: {*agent.sources, *probe.addresses(agent)} for agent in agents}
    pairs = on_one_machine(agents, pods)
    expected = each_of(pairs, lambda agent, pod: is_open(source=own[agent.name]))
    assert probe.pairs(pairs, protocol) == expected


@pytest.mark.requirement("N2P-07")
def test_logs_and_exec_work_on_every_node(api, pods, rng):
    """The API server returns a container's log, and runs a command in it with its output and exit code."""
    nonce = f"{rng.getrandbits(64):016x}"
    without_log = [pod.name for pod in pods if f"prober {pod.name} ready" not in api.logs(pod)]
    assert not without_log, f"the log does not hold the line that the prober wrote: {', '.join(without_log)}"
    command = ["/usr/bin/python3", "-c", f"print('{nonce}'); raise SystemExit(3)"]
    ran = {pod.name: api.run(pod, command) for pod in pods}
    differing = [f"exec into {name}: {result}" for name, result in ran.items() if result != Ran(3, f"{nonce}\n")]
    assert not differing, f"expected exit code 3 and output {nonce}; {'; '.join(differing)}"
