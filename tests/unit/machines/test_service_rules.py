"""Rules as kube-proxy 1.36 wrote them on a node: a Service with four endpoints, a sticky one, two without any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.machines.service_rules import read_endpoints, read_iptables, read_nftables
from kip_conformance.infra.targets.protocol import Completed

RECORDED = Path(__file__).parent / "recorded"
IPTABLES = (RECORDED / "iptables-save.txt").read_text()
NFTABLES = (RECORDED / "nft-kube-proxy.json").read_text()
READ = {
    "iptables": lambda *wanted: read_iptables(IPTABLES, *wanted),
    "nftables": lambda *w: read_nftables(NFTABLES, *w),
}

FOUR = {(address, 8080) for address in ("10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.2.3")}
CASES = {
    "four-endpoints-tcp": (("10.96.221.178", 80, "tcp"), FOUR),
    "four-endpoints-udp": (("10.96.221.178", 80, "udp"), FOUR),
    "client-affinity": (("10.96.88.5", 80, "tcp"), FOUR),
    "no-endpoint-rejects": (("10.96.43.73", 80, "udp"), frozenset()),
    "no-local-endpoint-drops": (("10.96.80.61", 80, "tcp"), frozenset()),
    "other-protocol": (("10.96.88.5", 80, "udp"), None),
    "other-port": (("10.96.221.178", 8080, "tcp"), None),
    "other-address": (("10.96.221.17", 80, "tcp"), None),
}


@pytest.mark.parametrize("mode", READ)
@pytest.mark.parametrize(("wanted", "expected"), CASES.values(), ids=CASES)
def test_rules_lead_to_the_endpoints(mode, wanted, expected):
    assert READ[mode](*wanted) == expected


def test_a_rule_that_excludes_an_address_is_not_about_it():
    saved = "*nat\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES ! -d 10.96.0.1/32 -p tcp --dport 80 -j KUBE-SVC-A\nCOMMIT\n"
    assert read_iptables(saved, "10.96.0.1", 80, "tcp") is None


def test_endpoint_chains_of_their_own_are_followed_in_nftables():
    """As before Kubernetes 1.36, also without session affinity."""
    rule = {"vmap": {"key": {"numgen": {}}, "data": {"set": [[0, {"goto": {"target": "endpoint-b"}}]]}}}
    key = {"concat": ["10.96.0.1", "tcp", 80]}
    table = [
        {"chain": {"name": "service-a"}},
        {"chain": {"name": "endpoint-b"}},
        {"map": {"name": "service-ips", "elem": [[key, {"goto": {"target": "service-a"}}]]}},
        {"map": {"name": "no-endpoint-services"}},
        {"rule": {"chain": "service-a", "expr": [rule]}},
        {"rule": {"chain": "endpoint-b", "expr": [{"dnat": {"addr": "10.0.0.1", "port": 8080}}]}},
    ]
    assert read_nftables(json.dumps({"nftables": table}), "10.96.0.1", 80, "tcp") == {("10.0.0.1", 8080)}


def test_rules_that_lead_nowhere_are_no_empty_answer():
    lines = [line for line in IPTABLES.splitlines() if not line.startswith(("-A KUBE-SVC", ":KUBE-SVC"))]
    with pytest.raises(HarnessError, match="which is not there"):
        read_iptables("\n".join(lines), "10.96.221.178", 80, "tcp")
    table = json.loads(NFTABLES)["nftables"]
    without = [entry for entry in table if "canary" not in str(entry.get("chain", entry.get("rule", "")))]
    with pytest.raises(HarnessError, match="which is not there"):
        read_nftables(json.dumps({"nftables": without}), "10.96.221.178", 80, "tcp")
    with pytest.raises(HarnessError, match="no map"):
        read_nftables('{"nftables": []}', "10.96.221.178", 80, "tcp")
    with pytest.raises(HarnessError, match="no table"):
        read_nftables("", "10.96.221.178", 80, "tcp")


class Stub:
    name, addresses = "node-a", ("10.20.1.11",)

    def __init__(self, code: int, output: str) -> None:
        self.code, self.output = code, output
        self.ran: list[str] = []

    def run(self, argv, **_):
        self.ran = argv
        return Completed(tuple(argv), self.code, self.output.encode(), b"no such table")


def test_a_machine_is_asked_for_its_rules():
    machine = Stub(0, IPTABLES)
    assert read_endpoints(machine, "iptables", "10.96.221.178", 80, "tcp") == FOUR
    assert machine.ran == ["iptables-save"]
    assert read_endpoints(Stub(0, NFTABLES), "nftables", "10.96.0.99", 80, "tcp") is None
    with pytest.raises(HarnessError, match="node-a: nft -j list table ip kube-proxy ended with 1: no such table"):
        read_endpoints(Stub(1, ""), "nftables", "10.96.0.99", 80, "tcp")
    with pytest.raises(HarnessError, match="node-a: nft printed no table"):
        read_endpoints(Stub(0, ""), "nftables", "10.96.0.99", 80, "tcp")
    with pytest.raises(HarnessError, match="mode ipvs"):
        read_endpoints(Stub(0, ""), "ipvs", "10.96.0.99", 80, "tcp")
