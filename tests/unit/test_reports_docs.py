"""The example in docs/verdicts.md is what a run really prints: same grid, same summary.

`python -m tests.unit.test_reports_docs` renews it.
"""

from __future__ import annotations

from pathlib import Path

from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.grid import Grid, Site, draw, headline
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.reports.model import Case, ItemResult, RunInfo
from kip_conformance.reports.summary import summary

from .few_rows import few_rows

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"
BEGIN = "<!-- example: made by tests/unit/test_reports_docs.py -->"
END = "<!-- end of example -->"

ADDRESSES = {
    ("node-a", "node-a"): "10.244.1.2",
    ("node-a-2", "node-a"): "10.244.1.3",
    ("node-b", "node-b"): "10.244.2.2",
    ("node-b-2", "node-b"): "10.244.2.3",
}
PODS = [
    Place(name, "pod", machine, address, (address,), (8080,), "/run/prober.sock")
    for (name, machine), address in ADDRESSES.items()
]
RUN = RunInfo(
    run_id="k7f3q2",
    target="lab",
    is_lab=True,
    implementation="CNI routed",
    suite_version="0.1.0",
    started="2026-01-05T10:00:00+00:00",
    seed=42,
    modes=("iptables", "nftables"),
    places=tuple(pod.name for pod in PODS),
    features=("exec", "node-port"),
    versions={"kubernetes": "1.36.3"},
    command=("pytest", "suites"),
    duration=18.7,
)


def example() -> str:
    """Rules on node-a masquerade what its pods send to other nodes over TCP; everything else holds."""
    masqueraded = "10.20.1.10"
    seen = {
        (client.name, server.name): Observation(
            "open",
            peer=server.name,
            seen_source=masqueraded if client.machine == "node-a" != server.machine else client.address,
            rtt=0.0004,
        )
        for client in PODS
        for server in PODS
        if client is not server
    }
    sites = {pod.name: Site(pod.machine, pod.kind) for pod in PODS}
    grid = Grid(seen, title="podIPs", protocol="tcp", sites=sites)
    expected = every_pair(PODS, PODS, lambda client, _: is_open(source=client))
    assert grid != expected
    cases = tuple(
        Case(case.client, case.server, case.expected, case.observed, case.ok, case.observation)
        for case in grid.comparison
    )
    failed = ItemResult(
        "IDN-04", {"protocol": "tcp"}, "fail", headline(grid, expected), detail=draw(grid, expected), grids=(cases,)
    )
    others = [
        ItemResult(row.id, {**({"mode": mode} if mode else {}), "protocol": protocol}, "pass")
        for row in few_rows().requirements.values()
        if row.lane == "default"
        for mode in row.modes(RUN.modes)
        for protocol in ("tcp", "udp")
        if (row.id, protocol) != ("IDN-04", "tcp")
    ]
    return summary(RUN, [failed, *others], Path("reports/out/k7f3q2"), registry=few_rows())


def test_the_example_is_what_a_run_prints() -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == f"```text\n{example()}```", "renew it: python -m tests.unit.test_reports_docs"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n```text\n{example()}```\n\n{END}{after}", encoding="utf-8")
