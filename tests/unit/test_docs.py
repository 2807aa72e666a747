"""What the documents say: every command parses, every file and link is there, every table and picture is in step.

What a command does is other tests' business; whether its words exist is this one's.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from kip_conformance.fixtures.options import KEEP, add_options
from kip_conformance.infra import cli
from kip_conformance.infra.faults.fault import find_faults
from kip_conformance.infra.faults.listing import page as fault_list
from kip_conformance.infra.faults.published import PUBLISHED
from kip_conformance.infra.judge import verdict
from kip_conformance.infra.lab.binaries.catalogue import known_versions
from kip_conformance.infra.lab.cni_folder import built_in
from kip_conformance.infra.lab.plan import (
    CONTROL_PLANE,
    NODES,
    ON_PREM_GATEWAY,
    ON_PREM_HOST,
    ON_PREM_NODE,
    PLAN,
    SUBNETS,
)
from kip_conformance.infra.lab.service_proxy import MODES
from kip_conformance.infra.targets.plan import FOUNDATION, FURTHER, parse_pair, planned_places
from kip_conformance.infra.targets.profile import load_profile
from kip_conformance.infra.targets.registry import known_targets
from kip_conformance.reports.requirements import load_requirements
from kip_conformance.reports.write import all_formats

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
FAULTS = ROOT / "docs" / "faults.md"
PAGES = sorted([README, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), ROOT / "infra/lab/cni/README.md"])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

# Folders at the top that a document may name a file of; what a run makes is not there to be found.
ROOMS = ("infra", "fixtures", "suites", "reports", "tests", "docs", "benchmarks", ".ci")
MADE = ("reports/out",)
# Programs that a document may show and that are not ours.
OTHERS = {"kubectl", "curl", "ctr"}
PLACEHOLDERS = {"RUN", "NAME", "ID"}


def blocks(page: Path, language: str) -> list[str]:
    """The contents of the fenced blocks in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """The page less its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    """What stands between single backquotes."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command of the page: in blocks of shell, and in backquotes when they begin with ours."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    lines += [
        span for span in spans(page) if re.match(r"(make|pytest|kip-conformance|python -m|infra/setup)( |$)", span)
    ]
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words:
            yield words


COMMANDS = [
    pytest.param(words, id=f"{name}:{' '.join(words)[:60]}")
    for page, name in zip(PAGES, NAMES, strict=True)
    for words in commands(page)
]


@cache
def pytest_options() -> dict[str, bool]:
    """Every option that pytest has here, with whether it takes a value."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/lab", "--help", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, bool] = {}
    for line in done.stdout.splitlines():
        if re.match(r"  -", line):
            for part in re.split(r",\s+(?=-)", line.strip().partition("  ")[0]):
                name, separator, _ = re.sub(r"[ =]", " ", part, count=1).partition(" ")
                found[name] = bool(separator)
    return found


def check_value(option: str, value: str) -> None:
    """A value of one of our options must be one that a run would take."""
    if option == "--requirement":
        assert value in load_requirements()
    elif option == "--pair":
        parse_pair(value)
    elif option == "--profile":
        load_profile(None, [value])
    elif option == "--proxy-mode":
        assert set(value.split(",")) <= set(MODES)
    elif option in ("--kip-places", "--places"):
        planned_places([name for name in value.split(",") if name])
    elif option == "--kubernetes":
        assert value in known_versions()
    elif option == "--cni":
        assert value in {*built_in(), *PLACEHOLDERS} or value.startswith("/path/to/")
    elif option == "--cluster":
        assert value in {*known_targets(), *PLACEHOLDERS}
    elif option == "--kip-keep":
        assert value in KEEP


def check_pytest(words: list[str], *, suites: bool = True) -> None:
    """Raises AssertionError when pytest would not know a word of these."""
    arguments = []
    rest = iter(words)
    for word in rest:
        name, separator, value = word.partition("=")
        if not word.startswith("-"):
            arguments.append(word)
            continue
        if re.fullmatch(r"-[a-z]\d+", word):
            name = word[:2]
        assert name in pytest_options(), f"pytest has no option {name}"
        if pytest_options()[name] and not separator and name == word:
            value = next(rest, "")
            assert value, f"{name} needs a value"
        check_value(name, value)
    if "--pyargs" in words:
        for argument in arguments:
            assert importlib.util.find_spec(argument) is not None, argument
    else:
        for argument in arguments:
            assert (ROOT / argument).exists(), argument
    assert arguments or not suites


def check_make(words: list[str]) -> None:
    if not words:
        return
    goal, arguments = words[0], "".join(word.removeprefix("ARGS=") for word in words[1:] if word.startswith("ARGS="))
    assert re.search(rf"^{re.escape(goal)}:.*##", (ROOT / "Makefile").read_text(), re.MULTILINE), f"no target {goal}"
    if goal in ("conformance", "test"):
        check_pytest(shlex.split(arguments), suites=False)
    elif goal in ("faults", "faults-quick"):
        parts = [part for part in shlex.split(arguments) if part not in ("--cells", "--list", "--resume", "--site")]
        assert set(parts[::2]) <= {"--fault", "--kubernetes", "--out", "--seed", "--workers"}
        find_faults([value for option, value in zip(parts[::2], parts[1::2], strict=False) if option == "--fault"])
    elif goal == "bench":
        check_bench(shlex.split(arguments))
    else:
        assert not arguments


def check_bench(words: list[str]) -> None:
    """Parse with the real parser: no rounds at all is refused last, so that nothing is measured."""
    argv = [sys.executable, "-m", "benchmarks", *words, "--runs", "0"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "--runs 0: at least 1" in done.stderr, done.stderr


def check_kip(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse with the real parser; nothing is run."""
    seen: list[argparse.Namespace] = []
    for path in (ROOT / "infra/cli").glob("*.py"):
        if path.name != "__init__.py":
            module = importlib.import_module(f"{cli.__name__}.{path.stem}")
            monkeypatch.setattr(module, "run", lambda options: seen.append(options) or 0)
    if words:
        assert cli.main(words) == 0, f"kip-conformance {' '.join(words)}"
        for option in ("kubernetes", "cni", "cluster", "proxy_mode", "places"):
            if getattr(seen[0], option, None) is not None:
                check_value(f"--{option.replace('_', '-')}", getattr(seen[0], option))
        if seen[0].command == "exec":
            assert [word for word in seen[0].argv if word != "--"]
            machines = [node.name for node in (CONTROL_PLANE, *NODES)]
            known = [*(f"nic-{name}" for name in machines), "vpc-main"] if seen[0].network else machines
            assert seen[0].name in known


def check_python(words: list[str]) -> None:
    if words[0] == "-c":
        ast.parse(words[1])
        return
    assert words[0] == "-m"
    if words[1] == "pytest":
        check_pytest(words[2:])
    elif words[1] == "benchmarks":
        check_bench(words[2:])
    else:
        assert importlib.util.find_spec(words[1]) is not None, words[1]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_can_be_typed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if ">" in words:
        words = words[: words.index(">")]
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if program == "make":
        check_make(rest)
    elif program == "pytest":
        check_pytest(rest)
    elif program == "kip-conformance":
        check_kip(rest, monkeypatch)
    elif program == "python":
        check_python(rest)
    elif program == "infra/setup/prepare":
        assert rest in (["env"], ["lab"])
    elif program == ".":
        assert rest == [".venv/bin/activate"]
    else:
        assert program in OTHERS, f"{program}: not a program that the documents may show"


def test_there_are_commands_to_check() -> None:
    """An expression that finds nothing would make the test above pass."""
    assert len(COMMANDS) > 40
    assert {"--cluster", "--attach", "--kip-keep", "-n", "-k", "--collect-only", "--pyargs"} <= set(pytest_options())
    with pytest.raises(AssertionError, match="pytest has no option --atach"):
        check_pytest(["suites", "--atach", "mylab"])
    with pytest.raises(AssertionError, match="no target conform"):
        check_make(["conform"])
    with pytest.raises(AssertionError, match="unrecognized arguments: --rounds 3"):
        check_make(["bench", "ARGS=--rounds 3"])


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_in_a_page_imports_what_there_is(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                module = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def named_files(page: Path) -> Iterator[str]:
    """Paths of this repository in backquotes, in prose and in tables."""
    for span in spans(page):
        for word in span.split():
            path = word.partition("::")[0].rstrip("/")
            if path.startswith(MADE) or PLACEHOLDERS & set(re.split(r"[/.]", path)):
                continue
            if path.split("/")[0] in ROOMS and "/" in path and re.fullmatch(r"[\w./*-]+", path):
                yield path


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    assert [path for path in named_files(page) if not any(ROOT.glob(path))] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def rows(page: Path) -> list[list[str]]:
    """The cells of every table row of the page."""
    lines = [line for line in prose(page).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_list_of_faults_is_what_there_is() -> None:
    made = fault_list(find_faults())
    assert (ROOT / "docs" / "fault-list.md").read_text(encoding="utf-8") == made, (
        "renew it: python -m kip_conformance.infra.faults.listing > docs/fault-list.md"
    )


def test_the_picture_has_the_addresses_of_the_plan() -> None:
    (picture,) = [block for block in blocks(README, "text") if "vpc-main" in block]
    nodes = (CONTROL_PLANE, *NODES)
    expected = {PLAN.vpc, PLAN.public_a, PLAN.private_a, PLAN.services, PLAN.dns}
    expected |= {node.address for node in nodes} | {node.pod_cidr for node in NODES}
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+(?:/\d+)?", picture)) - {"127.0.0.1"} == expected
    named = set(re.findall(r"[a-z]+(?:-[a-z0-9]+)*", picture))
    wanted = {place.name for place in FOUNDATION} | {f"nic-{node.name}" for node in nodes}
    assert wanted | {node.name for node in nodes} | {node.subnet for node in nodes} <= named


def test_output_in_the_readme_has_the_titles_of_the_registry() -> None:
    requirements = load_requirements()
    shown = [line for block in blocks(README, "text") for line in block.splitlines()]
    titles = [match for line in shown if (match := re.match(r"([A-Z0-9]{3}-\d\d) [MSX]  (.+?)  +[\w-]", line))]
    assert {match[1] for match in titles} <= set(requirements)
    assert [match[0] for match in titles if requirements[match[1]].title != match[2]] == []


def test_every_environment_variable_of_ours_is_explained() -> None:
    files = [path for room in ("infra", "fixtures", "reports") for path in (ROOT / room).rglob("*") if path.is_file()]
    read: set[str] = set()
    for path in [*files, ROOT / "Makefile"]:
        if (
            "out" not in path.relative_to(ROOT).parts[:2]
            and path.suffix in (".py", "")
            and path.stat().st_size < 200_000
        ):
            read |= set(re.findall(r"\bKIP_[A-Z_]+\b", path.read_text(encoding="utf-8", errors="replace")))
    explained = {name for cells in rows(README) for name in re.findall(r"`([A-Z_]+)`", cells[0])}
    assert {name for name in explained if name.startswith("KIP_")} == read - {"KIP_OS_RELEASE"}


def test_every_exit_code_is_explained() -> None:
    codes = {verdict.EXIT_CONFORMANT, verdict.EXIT_NOT_CONFORMANT, verdict.EXIT_USAGE, verdict.EXIT_HARNESS}
    for page in (README, ROOT / "docs" / "ci.md", ROOT / "docs" / "verdicts.md"):
        shown = {int(cells[0]) for cells in rows(page) if cells[0].isdecimal()}
        assert shown == codes, page.name


def test_every_report_format_is_named() -> None:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    assert [each.NAME for each in all_formats() if f"`{each.NAME}`" not in text] == []


def test_every_option_of_ours_is_in_some_page() -> None:
    recorded: list[str] = []

    class Recorder:
        def getgroup(self, *_: object) -> Recorder:
            return self

        def addoption(self, name: str, **_: object) -> None:
            recorded.append(name)

    add_options(Recorder())  # type: ignore[arg-type]
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in recorded if not re.search(rf"{name}\b", text)] == []


def test_the_kill_matrix_is_of_every_row_and_every_fault_and_its_lists_are_empty():
    """Of those that were there when it was made: the page says up to which version of the suite its rows go."""
    page = (ROOT / "docs" / "kill-matrix.md").read_text(encoding="utf-8")
    killed = page.partition("## What kills each check")[2].partition("## The whole matrix")[0]
    made_for = re.search(r"Rows up to version (\S+)\.$", page, re.MULTILINE)
    assert made_for
    assert made_for[1] == PUBLISHED
    version = tuple(map(int, made_for[1].split(".")))
    rows = {row.id: tuple(map(int, row.since.split("."))) for row in load_requirements().values()}
    nightly = {row.id for row in load_requirements().values() if row.lane == "nightly"}
    known = {name for name, since in rows.items() if since <= version} - nightly

    assert known == set(re.findall(r"^\| ([A-Z0-9]{3}-\d{2}) \|", killed, re.MULTILINE))
    faults = [fault for fault in find_faults() if not fault.kills or known.intersection(fault.kills)]
    assert [fault.name for fault in faults if f"{fault.name} [" not in page] == []
    assert "| nothing |" not in killed
    for title in ("Checks without a kill", "Faults that survive", "Red without cause"):
        assert f"{title}: none\n" in page


def test_the_page_of_the_labs_networks_has_the_addresses_of_the_plan() -> None:
    page = (ROOT / "docs" / "lab-network.md").read_text(encoding="utf-8")
    ranges = {PLAN.vpc, PLAN.secondary, PLAN.peer, PLAN.peer_subnet, PLAN.on_prem, PLAN.on_prem_pods}
    ranges |= {PLAN.pods, PLAN.services, *(subnet.cidr for subnet in SUBNETS)}
    machines = {one.address for one in (ON_PREM_GATEWAY, ON_PREM_HOST, ON_PREM_NODE)}
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+(?:/\d+)?", page)) == ranges | machines
    named = {place.name for place in FURTHER} | {subnet.name for subnet in SUBNETS}
    assert named <= set(re.findall(r"`([a-z0-9-]+)`", page))
