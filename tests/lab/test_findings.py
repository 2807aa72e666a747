"""Defects planted by hand, of kinds that no seeded fault has: the finding must name hop, machine and likely owner."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from kip_conformance.infra.findings.finding import Finding
from kip_conformance.infra.findings.scene import Case, Deadline, Scene
from kip_conformance.infra.findings.walk import walk
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.lab.state import new_run_id
from kip_conformance.infra.probe.choice import worst
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.lab import LabCluster, LabTarget
from kip_conformance.infra.targets.options import TargetOptions
from kip_conformance.infra.targets.protocol import Protocol4
from kip_conformance.infra.workloads.services import Services


@dataclass(frozen=True)
class Defect:
    """Shell commands that plant it and take it out, on a machine or (`is_network`) in a piece of network.

    {a} and {b} are the addresses of pods on node-a and node-b, {vb} the interface of the latter's machine to it.
    """

    where: str
    plant: str
    out: str
    broken: str
    owner: str
    said: str
    is_network: bool = False
    protocol: Protocol4 = "tcp"
    client: str = "node-a"


TABLE = (
    "nft 'add table ip byhand; add chain ip byhand c {{ type filter hook %s priority -10; }}; add rule ip byhand c %s'"
)

DEFECTS = {
    "a packet filter on the peer's machine": Defect(
        "node-b", TABLE % ("forward", "ip daddr {b} drop"), "nft delete table ip byhand",
        "peer machine on node-b", "node", "table ip byhand, chain c: ip daddr {b} drop",
    ),
    "answers filtered on the client's machine": Defect(
        "node-a", TABLE % ("forward", "ip saddr {b} udp sport 8080 counter drop"), "nft delete table ip byhand",
        "client machine on node-a", "node", "took the answer in on eth0 and dropped it", protocol="udp",
    ),
    "the route to the pod is missing": Defect(
        "node-b", "ip route del {b}", "ip route add {b} dev {vb} scope host",
        "peer machine on node-b", "CNI", "instead of {vb}",
    ),
    "a blackhole route on the client's machine": Defect(
        "node-a", "ip route add blackhole {b}", "ip route del blackhole {b}",
        "client machine on node-a", "CNI", "no route to {b}",
    ),
    "the pod's link is down": Defect(
        "node-b", "ip link set {vb} down", "ip link set {vb} up; ip route replace {b} dev {vb} scope host",
        "peer machine on node-b", "CNI", "{vb}, the pod's interface here, is down",
    ),
    "a wrong neighbour entry": Defect(
        "node-b", "ip neigh replace {b} lladdr 02:00:00:00:00:77 dev {vb} nud permanent", "ip neigh del {b} dev {vb}",
        "peer machine on node-b", "CNI", "02:00:00:00:00:77",
    ),
    "a NIC that drops": Defect(
        "nic-node-b", "nft insert rule inet nic forward ip daddr {b} counter drop",
        "nft delete rule inet nic forward $(nft -a list chain inet nic forward | grep '{b}' | grep -o 'handle [0-9]*')",
        "NIC on node-b", "cloud network", "dropped it: table inet nic", is_network=True,
    ),
    "a router that sends it elsewhere": Defect(
        "vpc-main", "ip route add {b} via 10.20.1.10 dev e-control-plane onlink table 101",
        "ip route del {b} table 101", "router on VPC main", "cloud network", "a wrong route", is_network=True,
    ),
    "a reset on the way": Defect(
        "node-b", "iptables -I FORWARD -d {b} -p tcp -j REJECT --reject-with tcp-reset",
        "iptables -D FORWARD -d {b} -p tcp -j REJECT --reject-with tcp-reset",
        "peer machine on node-b", "node", "answered with a TCP reset",
    ),
    "sources changed on the peer's machine": Defect(
        "node-b", "iptables -t nat -I POSTROUTING -d {b} -j MASQUERADE",
        "iptables -t nat -D POSTROUTING -d {b} -j MASQUERADE",
        "peer machine on node-b", "CNI", "changed the source from {a} to 10.244.2.1",
    ),
    "a host's own packets filtered": Defect(
        "node-a", "iptables -I OUTPUT -d {b} -j DROP", "iptables -D OUTPUT -d {b} -j DROP",
        "client machine on node-a", "node", "dropped the SYN on its way out", client="host-a",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Iterator[LabCluster]:
    """A whole lab, which each test leaves as it found it; one that idles costs the tests after these a quarter core."""
    target = LabTarget(TargetOptions(new_run_id()))
    cluster = target.up(lambda line: print(line, file=sys.stderr))
    yield cluster
    target.down(cluster.description)


@contextmanager
def planted(lab: LabCluster, defect: Defect, words: dict[str, str]) -> Iterator[None]:
    where = {"netns": defect.where} if defect.is_network else {"machine": defect.where}
    done = lab.control.run(["sh", "-c", defect.plant.format(**words)], **where)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        done = lab.control.run(["sh", "-c", defect.out.format(**words)], **where)
        assert done.returncode == 0, done.stderr


def found(lab: LabCluster, out: Path, client: str, target: ProbeTarget) -> Finding:
    """Probe as a row does, and walk."""
    with lab.driver() as driver:
        place = driver.at(client).place
        seen = worst(
            [driver.one(place, target, timeout=0.5, attempts=1) for _ in range(8 if len(target.peers) > 1 else 1)]
        )
        scene = Scene(driver, lab.machines, lab.network_between, lab.service_proxy, 0.5, Deadline(15))
        return walk(Case(place, target.name, target, "open", seen), scene, out, out / "case")


@pytest.mark.parametrize("name", DEFECTS)
def test_the_first_broken_hop_of_a_defect(lab, tmp_path, name):
    defect = DEFECTS[name]
    places = {place.name: place for place in lab.places}
    words = {"a": places["node-a"].address, "b": places["node-b"].address}
    route = lab.machines["node-b"].run(["ip", "route", "get", words["b"]]).stdout.decode().split()
    words["vb"] = route[route.index("dev") + 1]
    listener = ProbeTarget("node-b", words["b"], 8080, defect.protocol, ("node-b",), backend_port=8080)
    with planted(lab, defect, words):
        finding = found(lab, tmp_path, defect.client, listener)

    assert finding.headline.startswith(f"first broken hop: {defect.broken}: "), finding.text()
    assert defect.said.format(**words) in finding.headline, finding.text()
    assert finding.owner.startswith(defect.owner), finding.text()
    assert finding.seconds < 15
    assert {file.path.rpartition("/")[2] for file in finding.evidence} >= {"path.txt", "node-a.txt"}
    assert all((tmp_path / file.path).stat().st_size == file.size for file in finding.evidence)


SERVICE_DEFECTS = {
    "iptables": "iptables-save -t nat | sed -n 's/^-A KUBE-SERVICES \\(.*-d {vip}.*\\)/-D KUBE-SERVICES \\1/p' "
    "| xargs -rL1 iptables -t nat",
    "nftables": "nft delete element ip kube-proxy service-ips '{{ {vip} . tcp . 80 }}'",
}


@pytest.mark.parametrize("mode", SERVICE_DEFECTS)
def test_a_service_whose_rule_is_gone_on_one_machine(lab, tmp_path, mode):
    lab.set_service_proxy(mode)
    pods = [place for place in lab.places if place.kind == "pod"]
    services = Services(
        Path(lab.description.kubeconfig),
        prefix="findings",
        labels={},
        selector={"kip-conformance/kind": "pod"},
        budget=10,
    )
    with services, lab.driver() as driver:
        target = services.over(pods, "tcp").target
        client = [driver.at("node-a").place]
        eventually(lambda: driver.through(client, target), lambda grid: grid["node-a", target.name].is_open, within=10)
        plant = SERVICE_DEFECTS[mode].format(vip=target.address)
        assert lab.machines["node-a"].run(["sh", "-c", plant]).returncode == 0
        finding = found(lab, tmp_path, "node-a", target)

    assert finding.headline.startswith("first broken hop: service rule on node-a: there is no rule"), finding.text()
    assert finding.owner == "service proxy"
