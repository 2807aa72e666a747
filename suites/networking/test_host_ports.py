"""Ports of a machine that lead to one pod."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_denied, is_open, is_refused
from kip_conformance.infra.judge.pairs import each_of
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.host_ports import LOOPBACK, HostPort
from kip_conformance.infra.workloads.services import PortPlan


@pytest.mark.requirement("HPT-01")
def test_a_host_port_answers_at_its_machine(own_pods, host_ports, pod_machines, probe, pods, hosts, budgets):
    """A TCP HostPort answers at the pod's status.hostIP, for every pod and every machine, that one included."""
    ports, clients = host_ports.one_each(pod_machines), (*pods, *hosts)
    targets = host_ports.targets(own_pods.start(*host_ports.plans("behind", ports)), ports)
    expected = every_pair(clients, targets, is_open())
    eventually(lambda: probe.all(clients, targets, "tcp"), expected, within=budgets.propagation)


@pytest.mark.requirement("HPT-02")
def test_one_host_port_for_two_protocols_and_two_addresses(own_pods, host_ports, pod_machines, probe, pods, budgets):
    """One number leads to a pod over TCP, to another over UDP, and to a third over TCP at the loopback address."""
    for machine in pod_machines:
        number, host = host_ports.number(), host_ports.host_of(machine)
        ports = {
            "tcp": HostPort(number, "tcp", host_ip=host.address),
            "udp": HostPort(number, "udp", host_ip=host.address),
            "loopback": HostPort(number, "tcp", host_ip=LOOPBACK),
        }
        plans = [host_ports.plan(f"{which}-on-{machine}", machine, port) for which, port in ports.items()]
        tcp, udp, loopback = map(host_ports.target, own_pods.start(*plans), ports.values())
        for target, clients in ((tcp, pods), (udp, pods), (loopback, (host,))):
            expected = every_pair(clients, [target], is_open())
            eventually(
                lambda clients=clients, target=target: probe.all(clients, [target], target.protocol),
                expected,
                within=budgets.propagation,
            )


@pytest.mark.requirement("HPT-03")
def test_datagrams_to_a_host_port_arrive_and_are_answered(
    own_pods, host_ports, pod_machines, probe, pods, hosts, budgets
):
    """Datagrams to a UDP HostPort arrive unaltered, and so do their replies."""
    ports, clients = host_ports.one_each(pod_machines, "udp"), (*pods, *hosts)
    targets = host_ports.targets(own_pods.start(*host_ports.plans("datagrams", ports)), ports)
    payload = {"size": 512, "reply_size": 512}
    expected = every_pair(clients, targets, is_open())
    eventually(lambda: probe.all(clients, targets, "udp", **payload), expected, within=budgets.propagation)


@pytest.mark.requirement("HPT-04")
def test_a_host_port_of_one_address_answers_at_no_other(own_pods, host_ports, pod_machines, probe, pods, budgets):
    """A HostPort with hostIP 127.0.0.1 answers the machine itself there, and nobody at the machine's own address."""
    ports = host_ports.one_each(pod_machines, host_ip=LOOPBACK)
    servers = own_pods.start(*host_ports.plans("kept-to", ports))
    machines = [host_ports.host_of(machine) for machine in pod_machines]
    inside = list(zip(machines, host_ports.targets(servers, ports), strict=True))
    eventually(lambda: probe.pairs(inside, "tcp"), each_of(inside, is_open()), within=budgets.propagation)
    targets = [
        host_ports.target(pod, port, at=host.address)
        for host, pod, port in zip(machines, servers, ports.values(), strict=True)
    ]
    clients = (*pods, *dict.fromkeys(machines))
    assert probe.all(clients, targets, "tcp") == every_pair(clients, targets, is_denied)


@pytest.mark.requirement("HPT-05")
def test_a_host_port_goes_with_its_pod(own_pods, host_ports, pod_machines, probe, pods, hosts, budgets):
    """The HostPort of a deleted pod refuses connections, and the next pod can have the same one."""
    ports, clients = host_ports.one_each(pod_machines), (*pods, *hosts)
    first = own_pods.start(*host_ports.plans("first", ports))
    targets = host_ports.targets(first, ports)
    answered = every_pair(clients, targets, is_open())
    eventually(lambda: probe.all(clients, targets, "tcp"), answered, within=budgets.propagation)
    for pod in first:
        own_pods.delete(pod, grace=1)
    for pod in first:
        own_pods.wait_gone(pod)
    gone = [host_ports.forsaken(target) for target in targets]
    silent = every_pair(clients, gone, is_refused)
    eventually(lambda: probe.all(clients, gone, "tcp", title="after it"), silent, within=budgets.propagation)
    again = host_ports.targets(own_pods.start(*host_ports.plans("second", ports)), ports)
    answered = every_pair(clients, again, is_open())
    eventually(lambda: probe.all(clients, again, "tcp", title="used again"), answered, within=budgets.propagation)


@pytest.mark.requirement("HPT-06")
def test_a_host_port_answers_clients_on_its_own_machine(own_pods, host_ports, pod_machines, probe, protocol, budgets):
    """A process of the machine itself is answered at the machine's address and at 127.0.0.1."""
    ports = host_ports.one_each(pod_machines, protocol)
    servers = own_pods.start(*host_ports.plans("near", ports))
    pairs = [
        (host_ports.host_of(machine), host_ports.target(pod, ports[machine], at=address, name=f"{pod.name} at {where}"))
        for machine, pod in zip(pod_machines, servers, strict=True)
        for where, address in (("the machine's address", host_ports.host_of(machine).address), (LOOPBACK, LOOPBACK))
    ]
    eventually(lambda: probe.pairs(pairs, protocol), each_of(pairs, is_open()), within=budgets.propagation)


@pytest.mark.requirement("HPT-07")
def test_only_one_pod_has_a_host_port(own_pods, host_ports, pod_machines, probe, pods, budgets):
    """Of two pods that want one HostPort of one machine the second never runs, or an event says that it has none.

    Also when they are on two nodes, a kubelet's and a virtual one, whose pods have their HostPorts on one machine.
    """
    ports = host_ports.one_each(pod_machines)
    targets = host_ports.targets(own_pods.start(*host_ports.plans("holder", ports)), ports)
    expected = every_pair(pods, targets, is_open())
    eventually(lambda: probe.all(pods, targets, "tcp"), expected, within=budgets.propagation)
    rivals = [own_pods.propose(plan) for plan in host_ports.crossed("beside", ports)]
    rivals += [
        own_pods.propose(plan, is_scheduled=way == "scheduled")
        for way in ("bound", "scheduled")
        for plan in host_ports.plans(way, ports)
    ]

    def unheard() -> str:
        claims = {rival.name: own_pods.claim(rival) for rival in rivals}
        return "; ".join(f"{name}: {claim}" for name, claim in claims.items() if not claim.is_refused)

    eventually(unheard, lambda pods: pods == "", within=budgets.propagation)
    assert probe.all(pods, targets, "tcp", title="beside a rival") == expected


@pytest.mark.requirement("HPT-09")
def test_a_pod_does_not_see_its_host_port(own_pods, host_ports, pod_machines, binding, probe, pods, hosts):
    """In the pod the port of that number is free, its podIP refuses it, and no address of a machine is its own."""
    ports = host_ports.one_each(pod_machines)
    servers = own_pods.start(*host_ports.plans("blind", ports))
    both = list(zip(servers, ports.values(), strict=True))
    bound = {pod.name: binding(pod, "tcp", port.number) for pod, port in both}
    assert bound == dict.fromkeys(bound, "bound"), f"the HostPort's number is taken inside the pod: {bound}"
    of_machines = {address for host in hosts for address in host.sources}
    shared = {pod.name: found for pod in servers if (found := sorted(of_machines & probe.addresses(pod)))}
    assert not shared, f"a pod outside of the host network has an address of a machine: {shared}"
    inner = [host_ports.forsaken(host_ports.target(pod, port, at=pod.address)) for pod, port in both]
    assert probe.all(pods, inner, "tcp") == every_pair(pods, inner, is_refused)


@pytest.mark.requirement("HPT-10")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_a_host_port_takes_nothing_from_a_service(
    own_pods, host_ports, services, pod_machines, probe, pods, vip_clients, protocol
):
    """A Service whose port is the number of a HostPort on every machine is answered by its own endpoints only."""
    ports = host_ports.one_each(pod_machines)
    own_pods.start(*host_ports.plans("taking", ports))
    plans = [PortPlan(port.number, pods[0].ports[0], protocol) for port in ports.values()]
    webs = services.make(pods, *plans)
    targets = [web.target_named(f"clusterip-{web.port}") for web in webs]
    expected = every_pair(vip_clients, targets, is_open(to=pods))
    eventually(lambda: probe.every_time(vip_clients, targets), expected, within=webs[0].budget)
    assert probe.every_time(vip_clients, targets) == expected


@pytest.mark.requirement("HPT-08")
@pytest.mark.needs("machine-access")
def test_a_host_port_follows_its_pod_to_another_cell(
    own_pods, host_ports, cell_machines, cells, terminate, rules_naming, probe, near_pods, hosts, budgets
):
    """When a cell is replaced its HostPort leads to the new podIP, and no rule names the old one any more."""
    ports, clients = host_ports.one_each(cell_machines), (*near_pods, *hosts)
    where = [host_ports.host_of(machine) for machine in cell_machines]
    first = own_pods.start(*host_ports.plans("moving", ports))
    targets = host_ports.targets(first, ports)
    expected = every_pair(clients, targets, is_open())
    eventually(lambda: probe.all(clients, targets, "tcp"), expected, within=budgets.propagation)
    for pod in first:
        terminate(cells.at(pod.address))
    again = [own_pods.restarted(pod, restarts=1) for pod in first]
    kept = [pod.name for pod, new in zip(first, again, strict=True) if pod.address == new.address]
    assert not kept, f"the podIP did not change, so that nothing can be said of its HostPort: {', '.join(kept)}"
    eventually(lambda: probe.all(clients, targets, "tcp", title="replaced"), expected, within=budgets.propagation)
    eventually(
        lambda: "; ".join(line for host, pod in zip(where, first, strict=True) for line in rules_naming(host, pod)),
        lambda left: left == "",
        within=budgets.propagation,
    )
