"""The benchmarks' own arithmetic and command line. No lab is stood up and nothing is timed here."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.judge.grid import Grid
from kip_conformance.infra.probe.observation import REQUEST_ARRIVED, Observation
from kip_conformance.infra.targets.protocol import Place

ROOT = Path(__file__).parents[2]


@pytest.fixture
def part(monkeypatch):
    """A module of the benchmarks, which are no installed package."""
    monkeypatch.syspath_prepend(str(ROOT))

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"benchmarks.{name}")

    yield load
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        del sys.modules[name]


def place(name: str, number: int) -> Place:
    address = f"10.0.0.{number}"
    return Place(name, "pod", "node-a", address, (address,), (8080, 8081), "/run/x")


class SilentDriver:
    """Answers every question with what `answer` makes of (client, target)."""

    def __init__(self, places, answer):
        self.places, self._answer = places, answer

    def all(self, clients, targets, protocol, *, timeout):
        return Grid({(c.name, t.name): self._answer(c, t) for c in clients for t in targets}, protocol=protocol)


def test_a_ceiling_is_kept_by_less_and_a_floor_by_more(part):
    figures = part("figures").Figures(lambda line: None)
    for value in (3.0, 1.0, 2.0):
        figures.add("ceiling", value, "s", target=2)
        figures.add("floor", value, "/s", target=2.5, is_floor=True)
        figures.add("free", value, "s")

    assert [figure.median for figure in figures.all.values()] == [2.0, 2.0, 2.0]
    assert [figure.is_met for figure in figures.all.values()] == [True, False, None]
    assert figures.all["floor"].to_value()["values"] == [3.0, 1.0, 2.0]


def test_the_table_has_a_row_for_each_figure_and_names_what_was_missed(part):
    module = part("figures")
    figures = module.Figures(lambda line: None)
    figures.add("slow thing", 1234.5, "ms", target=1000)
    figures.add("quick thing", 1.25, "ms", target=1000)
    lines = module.table(list(figures.all.values())).splitlines()

    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].split("|")][1:8] == [
        *("slow thing", "1,234 ms", "1,234", "1,234", "1", "<= 1,000 ms", "NO")
    ]
    assert "| 1.2 ms " in lines[3]
    assert "| yes " in lines[3]


def test_the_matrix_is_every_place_with_every_listener_itself_included(part):
    places = [place(f"p{number}", number) for number in range(9)]
    targets = part("probing").targets_of(places)

    assert len(places) * len(targets) == 324
    assert len({target.name for target in targets}) == 36
    assert part("probing").repeat_for(places) * 324 >= 10_000


def test_an_answer_from_another_peer_or_source_is_wrong(part):
    probing, places = part("probing"), [place("a", 1), place("b", 2)]

    def right(client, target):
        return Observation("open", target.peers[0], client.address, 0.001)

    def translated(client, target):
        return Observation("open", target.peers[0], "10.0.0.254" if client.name == "a" else client.address, 0.001)

    def mixed_up(client, target):
        return Observation("open", "a", client.address, 0.001)

    assert probing.all_open(SilentDriver(places, right)).wrong == 0
    assert probing.all_open(SilentDriver(places, translated)).wrong == 4
    assert probing.all_open(SilentDriver(places, mixed_up)).wrong == 8
    with pytest.raises(Exception, match="8 of 16 probes were wrong: a -> b"):
        probing.judged(probing.all_open(SilentDriver(places, mixed_up)))


def test_only_true_denials_are_right_while_all_is_dropped(part):
    probing, places = part("probing"), [place("a", 1)]
    answers = [
        Observation("timeout"),
        Observation("refused"),
        Observation("open", "a"),
        Observation("timeout", detail=REQUEST_ARRIVED),
    ]
    result = probing.all_denied(SilentDriver(places, lambda client, target: answers.pop()))

    assert (result.probes, result.wrong) == (4, 2)


def test_memory_is_that_of_all_descendants(part):
    memory = part("memory")
    script = "import subprocess, sys; subprocess.run(['cat'], stdin=sys.stdin)"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as child:
        try:
            assert child.pid in memory.below(os.getpid())
            assert memory.below(child.pid)[0] == child.pid
            assert os.getpid() not in memory.below(child.pid)
            sizes = memory.pss(child.pid)
        finally:
            child.kill()
    assert sum(sizes.values()) > 0.5


def test_the_changes_to_the_network_are_one_rule_and_one_route(part):
    fabric = part("fabric")
    state = fabric.three_machines()
    ruled, routed = fabric.one_more_rule(state), fabric.one_more_route(state)
    ruled.validate()
    routed.validate()

    assert len(ruled.groups[0].ingress) == len(state.groups[0].ingress) + 1
    assert len(routed.vpcs[0].route_tables[0].routes) == len(state.vpcs[0].route_tables[0].routes) + 1
    assert (ruled.vpcs, routed.groups) == (state.vpcs, state.groups)


def test_a_growing_network_has_no_contradictions(part):
    fabric = part("fabric")
    for size in fabric.SIZES:
        state = fabric.instances(size + 1)
        state.validate()
        assert len(state.interfaces) == size + 1
        assert state.interfaces[:size] == fabric.instances(size).interfaces


def test_drop_rules_spare_what_is_not_the_matrix(part):
    rules = part("matrix").drop_rules([place("a", 1), place("b", 2)])

    assert rules.count("ip daddr { 10.0.0.1, 10.0.0.2 } meta l4proto { tcp, udp } th dport { 8080, 8081 } drop") == 2
    assert rules.count("{") == rules.count("}")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--only", "nothing"], 4, "benchmark 'nothing': unknown; known: engine, fabric, cloud, cells, lab-up"),
        (["--runs", "0"], 4, "--runs 0: at least 1"),
        (["--runs", "x"], 4, "invalid int value"),
        (["--json", "/nowhere/at/all.json"], 4, "there is no folder /nowhere/at"),
    ],
)
def test_a_bad_option_is_one_clear_line(part, capsys, arguments, code, message):
    assert part("__main__").main(arguments) == code
    assert message in capsys.readouterr().err


def test_without_root_one_line_says_what_to_do(part, capsys, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert part("__main__").main(["--only", "matrix", "--only", "engine"]) == 10
    said = capsys.readouterr().err
    assert said == "benchmarks: matrix: a lab needs root; run it with sudo, or with --only engine\n"


def test_every_benchmark_is_listed_and_says_what_it_is(part):
    main = part("__main__")
    modules = [part(name) for name in main.BENCHMARKS]
    found = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\ndef run(session" in path.read_text()}

    assert found == set(main.BENCHMARKS)
    assert all(module.ABOUT and callable(module.run) and isinstance(module.NEEDS_ROOT, bool) for module in modules)


def test_a_percentile_is_one_of_the_values(part):
    cloud = part("cloud")
    values = [float(number) for number in range(10, 0, -1)]

    assert [cloud.at_percentile(values, percent) for percent in (1, 50, 90, 95, 100)] == [1, 5, 9, 10, 10]
    assert cloud.at_percentile([7.0], 95) == 7.0
    assert cloud.SIZES[-1] == 250


def test_a_cells_share_is_the_agents_memory_and_a_part_of_the_providers(part):
    cells = part("cells")
    agent = "/usr/bin/python3 -I -S -B /var/lib/cell/itzo --settings /var/lib/cell/settings.json"
    processes = [
        (agent, 6.0),
        (f"{agent} agent", 10.0),
        ("python -m kip_conformance.infra.provider --config provider.yaml", 40.0),
        ("python -m kip_conformance.infra.provider.policies --nodename node-a", 16.0),
        ("kube-proxy --config=/run/cell/kube-proxy.json --v=1", 30.0),
        ("kube-proxy --config /m/node-a/kube-proxy-iptables.yaml", 50.0),
        ("/usr/bin/python3 /prober.py serve", 9.0),
    ]

    assert cells.shares(processes, 2) == {"agent and provider": 28.0, "kube-proxy": 15.0}
    with pytest.raises(HarnessError, match="no agent runs"):
        cells.shares(processes, 0)
