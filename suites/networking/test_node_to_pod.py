"""What a node must be able to do with the pods that run on it."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.pairs import across_machines, each_of, on_one_machine
from kip_conformance.infra.workloads.reading import Ran


@pytest.mark.requirement("N2P-01")
def test_an_agent_on_a_node_reaches_every_pod_on_that_node(probe, hosts, hostnets, pods, protocol):
    """From a node's own network namespace every pod on it is reached, with one of the node's addresses as source."""
    agents = (*hosts, *hostnets)
    own = {agent.name: {*agent.sources, *probe.addresses(agent)} for agent in agents}
    pairs = on_one_machine(agents, pods)
    expected = each_of(pairs, lambda agent, pod: is_open(source=own[agent.name]))
    assert probe.pairs(pairs, protocol) == expected


@pytest.mark.requirement("N2P-02")
def test_nodes_and_pods_reach_each_other_across_nodes(probe, hosts, pods, protocol):
    """Every kubelet node reaches every pod on every other node, and pods reach every node's InternalIP."""
    pairs = across_machines(hosts, pods)
    assert probe.pairs(pairs, protocol) == each_of(pairs, is_open())
    assert probe.all(pods, hosts, protocol) == every_pair(pods, hosts, is_open())


@pytest.mark.requirement("N2P-10")
def test_a_node_sees_the_address_of_a_pod_on_another_node(probe, hosts, pods, protocol):
    """What a pod sends to the InternalIP of another node arrives with the podIP as its source."""
    pairs = across_machines(pods, hosts)
    assert probe.pairs(pairs, protocol) == each_of(pairs, lambda pod, _: is_open(source=pod))


@pytest.mark.requirement("N2P-03")
def test_host_network_pods_reach_pods_and_are_reached(probe, hostnets, pods, protocol):
    """HostNetwork pods reach every pod, with an address of their node as source, and are reached by every pod."""
    own = {place.name: {*place.sources, *probe.addresses(place)} for place in hostnets}
    expected = every_pair(hostnets, pods, lambda place, _: is_open(source=own[place.name]))
    assert probe.all(hostnets, pods, protocol) == expected
    assert probe.all(pods, hostnets, protocol) == every_pair(pods, hostnets, is_open())


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


@pytest.mark.requirement("N2P-08")
def test_attach_works_on_every_node(attach, pods, rng):
    """A client that attaches to a running container hears what the container writes."""
    nonce = f"attached-{rng.getrandbits(64):016x}"
    heard = {pod.name: attach(pod, nonce) for pod in pods}
    deaf = [f"{name}: {said}" for name, said in heard.items() if nonce not in said]
    assert not deaf, f"expected to hear {nonce}; {'; '.join(deaf)}"


@pytest.mark.requirement("N2P-09")
def test_port_forward_works_on_every_node(port_forward, probe, pods):
    """A connection to a forwarded port of a pod is answered by that pod."""
    probe.vouch(pods)
    answers = {pod.name: port_forward(pod) for pod in pods}
    wrong = [f"forwarded to {name}: {answer}" for name, answer in answers.items() if answer.name != name]
    assert not wrong, "; ".join(wrong)
