"""A made-up run with every verdict, every kind of observation, a finding and a timeline: what reports are tried on."""

from __future__ import annotations

from datetime import datetime

from kip_conformance.infra.judge.expectations import Expectation, Expected, every_pair, is_denied, is_open
from kip_conformance.infra.judge.grid import Grid, Site, draw, headline
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.targets.plan import FOUNDATION
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.reports.model import Asked, Case, ItemResult, RunInfo, Step

from .few_rows import few_rows

__all__ = ["ITEMS", "PLACES", "RUN"]

STARTED = "2026-01-05T10:00:00.250+00:00"
BEGAN = datetime.fromisoformat(STARTED).timestamp()

PLACES = [
    Place(place.name, place.kind, place.machine, f"10.244.{number % 2 + 1}.{number}", (), (8080,), "/run/prober.sock")
    for number, place in enumerate(FOUNDATION, 1)
]
PODS = [place for place in PLACES if place.kind == "pod"]
SITES = {place.name: Site(place.machine, place.kind) for place in PLACES}

RUN = RunInfo(
    run_id="0105-100000-77aa",
    target="lab",
    is_lab=True,
    implementation="CNI routed",
    suite_version="0.1.0",
    started=STARTED,
    seed=42,
    modes=("iptables", "nftables"),
    places=tuple(place.name for place in PLACES),
    features=("exec", "node-port", "dns", "machine-readable"),
    versions={"kubernetes": "1.36.3", "etcd": "3.6.8", "containerd": "2.2.9", "kernel": "6.18.44", "cni": "routed"},
    selection=("--cluster", "lab", "--profile", "propagation=20"),
    command=("pytest", "suites"),
    duration=31.4,
    budgets={"propagation": 20.0, "start": 60.0, "probe_timeout": 1.0},
    address_plan={"vpc": "10.20.0.0/16", "pods": {"all": "10.244.0.0/16", "a node": "/24"}, "services": "10.96.0.0/16"},
    steps=(
        Step("up: cloud: VPC, network interfaces, an instance for each machine", BEGAN + 0.2, 0.7),
        Step("up: API server ready", BEGAN + 0.9, 3.3),
        Step("up: nodes Ready", BEGAN + 4.2, 0.9),
        Step("up: 8 places answer", BEGAN + 5.1, 4.4),
        Step("switch to nftables", BEGAN + 19.5, 2.1),
        Step("down", BEGAN + 31.4, 0.9),
    ),
)


def _compared(
    seen: dict[tuple[str, str], Observation], expected: Expected, title: str, protocol: str
) -> tuple[tuple[Case, ...], str, str]:
    grid = Grid(seen, title=title, protocol=protocol, sites=SITES)
    assert grid != expected
    cases = tuple(
        Case(case.client, case.server, case.expected, case.observed, case.ok, dict(case.observation), case.symbols)
        for case in grid.comparison
    )
    return cases, headline(grid, expected), draw(grid, expected)


def _open(client: Place, server: Place) -> Observation:
    rtt = 0.0002 + 0.0001 * (len(client.name) + 3 * len(server.name))
    return Observation("open", peer=server.name, seen_source=client.address, rtt=rtt)


def _dropped() -> tuple[tuple[Case, ...], str, str]:
    """node-b drops what comes from pods of node-a."""
    seen = {
        (client.name, server.name): Observation("timeout", detail="no answer")
        if (client.machine, client.kind, server.machine) == ("node-a", "pod", "node-b")
        else _open(client, server)
        for client in PODS
        for server in PODS
        if client is not server
    }
    return _compared(seen, every_pair(PODS, PODS, is_open()), "podIPs", "udp")


def _everything() -> tuple[tuple[Case, ...], str, str]:
    """One of each: open where it should be denied, refused, reset, unreachable, a wrong peer, another source."""
    odd = iter(
        [
            Observation("refused"),
            Observation("reset"),
            Observation("unreachable", detail="no route to host"),
            Observation("wrong_peer", peer="node-b-2"),
            Observation("open", peer="node-b", seen_source="10.20.1.11", rtt=0.0004),
        ]
    )
    pairs = [(client, server) for client in PLACES for server in PLACES if client is not server]
    closed = {("host-a", "host-b"), ("host-b", "host-a"), ("hostnet-b", "node-a")}
    seen = {}
    for number, (client, server) in enumerate(pairs):
        if (client.name, server.name) in closed - {("host-a", "host-b")}:
            seen[client.name, server.name] = Observation("refused")
        else:
            seen[client.name, server.name] = (next(odd, None) if number % 9 == 4 else None) or _open(client, server)

    def wanted(client: Place, server: Place) -> Expectation:
        return is_denied if (client.name, server.name) in closed else is_open(source=client.address)

    return _compared(seen, every_pair(PLACES, PLACES, wanted), "podIPs and node addresses", "tcp")


def _items() -> list[ItemResult]:
    dropped, dropped_headline, dropped_drawing = _dropped()
    odd, odd_headline, odd_drawing = _everything()
    fine = tuple(
        Case(client.name, server.name, "open", "open", True, {"kind": "open", "rtt": _open(client, server).rtt})
        for client in PODS
        for server in PODS
        if client is not server
    )
    finding = {
        "client": "node-a",
        "server": "node-b",
        "firstBroken": "peer machine",
        "owner": "node",
        "headline": "peer machine on node-b: a rule dropped it",
        "hops": [
            {"name": "route", "where": "node-a", "lookedAt": "ip route get 10.244.2.3", "ok": True, "said": "via eth0"},
            {"name": "NIC", "where": "node-a", "lookedAt": "capture", "ok": True, "said": "1 packet left"},
            {
                "name": "peer machine",
                "where": "node-b",
                "lookedAt": "capture, nft list ruleset",
                "ok": False,
                "said": "arrived at eth0, never at the pod's interface: table ip planted drops udp dport 8080",
            },
            {"name": "listener", "where": "node-b", "lookedAt": "ss -lun", "ok": None, "said": "not looked at"},
        ],
        "evidence": [{"path": "evidence/P2P-03-udp/node-b.pcap", "bytes": 312, "sha256": "0f" * 32}],
    }
    outcomes = {
        ("P2P-03", "", "udp"): ItemResult(
            "P2P-03", {}, "fail", dropped_headline, detail=dropped_drawing, grids=(dropped,), finding=finding,
            asked=(Asked("podIPs", "udp"),),
        ),
        ("IDN-04", "", "tcp"): ItemResult(
            "IDN-04", {}, "fail", odd_headline, detail=odd_drawing, grids=(fine, odd),
            asked=(Asked("podIPs", "tcp"), Asked("podIPs and node addresses", "tcp", 7, "node-a -> host-b: refused")),
        ),
        ("SVC-01", "nftables", "udp"): ItemResult(
            "SVC-01", {}, "harness-error", reason="node-a: the channel to its prober was lost <twice> & reopened once"
        ),
        ("N2P-07", "", ""): ItemResult("N2P-07", {}, "not-runnable", reason="the target does not declare exec"),
        ("P2P-01", "", "tcp"): ItemResult(
            "P2P-01", {}, "pass", reason="place node-b-2 is absent", partial=True, grids=(fine,)
        ),
        ("NPT-01", "iptables", "tcp"): ItemResult(
            "NPT-01", {}, "fail", "node-a: <script>alert(1)</script> & co", detail="expected 3 NodePorts\nsaw 2"
        ),
    }  # fmt: skip
    items, clock = [], {"gw0": 9.6, "gw1": 9.7}
    modes = (None, *RUN.modes)
    for mode in modes:
        if mode == "nftables":
            clock = dict.fromkeys(clock, 21.6)
        for row in few_rows().requirements.values():
            if (mode is None) != (row.proxy == "none"):
                continue
            for protocol in ("tcp", "udp") if row.id[:3] not in ("N2P", "IDN") or row.id == "IDN-04" else ("",):
                one = outcomes.get((row.id, mode or "", protocol)) or ItemResult(row.id, {}, "pass", grids=(fine,))
                worker = min(clock, key=clock.__getitem__)
                phases = {"setup": 0.12, "call": 0.3 + 0.17 * (len(items) % 5), "teardown": 0.05}
                duration = sum(phases.values())
                values = {**({"mode": mode} if mode else {}), **({"protocol": protocol} if protocol else {})}
                value = {**one.to_value(), "parameters": values, "worker": worker, "duration": duration}
                value |= {"began": BEGAN + clock[worker], "phases": phases}
                items.append(ItemResult.from_value(value))
                clock[worker] += duration + 0.01
    return items


ITEMS = _items()
