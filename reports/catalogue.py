"""The catalogue: every requirement with the test that judges it, as a table, as JSON and as docs/catalogue.md.

Tests are found by reading the suites' source, never by importing it: no cluster, no pytest, no root.
`python -m kip_conformance.reports.catalogue > docs/catalogue.md` renews the page.
"""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import UsageError
from kip_conformance.reports.requirements import Registry, Requirement, load_registry

__all__ = ["CATALOGUE_VERSION", "SuiteTest", "as_json", "as_markdown", "as_text", "find_tests"]

CATALOGUE_VERSION = 1
"""The version of the JSON form; a key may be added within a version, none changed or dropped."""


@dataclass(frozen=True, slots=True)
class SuiteTest:
    """A test function by the path of its file below the root of the suites, `/` between its parts."""

    file: str
    function: str

    def __str__(self) -> str:
        return f"{self.file}::{self.function}"


def find_tests(suites: Path | None = None) -> dict[str, tuple[SuiteTest, ...]]:
    """The tests marked `@pytest.mark.requirement("ID")` below `suites`, by id; without it, those that are installed.

    Raises UsageError, naming file and line, for a file that is not Python or a mark that is not one string.
    """
    if suites is None:
        with resources.as_file(resources.files("kip_conformance.suites").joinpath("requirements.yaml")) as registry:
            suites = registry.parent
    found: dict[str, list[SuiteTest]] = {}
    for path in sorted(suites.rglob("test_*.py")):
        name = f"suites/{path.relative_to(suites).as_posix()}"
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError) as error:
            raise UsageError(f"{name}: not Python ({error})") from error
        for identifier, function in _marked(tree, name):
            found.setdefault(identifier, []).append(SuiteTest(name, function))
    return {identifier: tuple(tests) for identifier, tests in found.items()}


def as_text(registry: Registry | None = None, tests: Mapping[str, tuple[SuiteTest, ...]] | None = None) -> str:
    """A table for people, at most 80 columns wide but for the names of tests."""
    registry, tests = registry or load_registry(), find_tests() if tests is None else tests
    lines = ["ID      Level  Proxy  Lane        Requirement"]
    for row in registry.requirements.values():
        lines.append(f"{row.id:8}{row.level:7}{_proxy(row):7}{row.lane:12}{row.title}")
        lines += [f"{'':8}{test}" for test in tests.get(row.id, ())] or [f"{'':8}no test"]
    return "\n".join([*lines, f"{len(registry.requirements)} requirements"]) + "\n"


def as_json(registry: Registry | None = None, tests: Mapping[str, tuple[SuiteTest, ...]] | None = None) -> str:
    """The same for programs: keys `version`, `suiteVersion`, `profiles` and `requirements`, each with its `tests`."""
    registry, tests = registry or load_registry(), find_tests() if tests is None else tests
    document: dict[str, Any] = {
        "version": CATALOGUE_VERSION,
        "suiteVersion": version("kip-conformance"),
        "profiles": [asdict(profile) for profile in registry.profiles.values()],
        "requirements": [
            {**asdict(row), "tests": [asdict(test) for test in tests.get(row.id, ())]}
            for row in registry.requirements.values()
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def as_markdown(registry: Registry | None = None, tests: Mapping[str, tuple[SuiteTest, ...]] | None = None) -> str:
    """The page docs/catalogue.md."""
    registry, tests = registry or load_registry(), find_tests() if tests is None else tests
    return "\n".join(_page(registry, tests))


def _marked(tree: ast.Module, name: str) -> Iterator[tuple[str, str]]:
    """(id, function or Class::function) of every mark, in the order of the file; a mark on a class is on its tests."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            inherited = [_identifier(mark, name) for mark in node.decorator_list if _is_requirement(mark)]
            for method in node.body:
                for identifier in [*inherited, *_own(method, name)]:
                    if _is_test(method):
                        yield identifier, f"{node.name}::{method.name}"  # type: ignore[attr-defined]
        elif _is_test(node):
            for identifier in _own(node, name):
                yield identifier, node.name  # type: ignore[attr-defined]


def _own(node: ast.stmt, name: str) -> list[str]:
    marks = node.decorator_list if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else []
    return [_identifier(mark, name) for mark in marks if _is_requirement(mark)]


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")


def _is_requirement(mark: ast.expr) -> bool:
    called = mark.func if isinstance(mark, ast.Call) else mark
    return ast.unparse(called) in ("pytest.mark.requirement", "mark.requirement")


def _identifier(mark: ast.expr, name: str) -> str:
    if isinstance(mark, ast.Call) and len(mark.args) == 1 and not mark.keywords:
        value = mark.args[0]
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    raise UsageError(f"{name}:{mark.lineno}: the requirement mark takes exactly one id, as a literal string")


def _page(registry: Registry, tests: Mapping[str, tuple[SuiteTest, ...]]) -> Iterator[str]:
    yield "# Requirement catalogue"
    yield ""
    yield "<!-- Made from suites/requirements.yaml by `python -m kip_conformance.reports.catalogue`; do not edit. -->"
    yield ""
    yield from textwrap.wrap(
        "Every requirement that this suite judges, and the test that judges it. MUST, SHOULD and MAY are meant as in "
        "RFC 2119. Level **M** is a MUST of the profile. **S** is a SHOULD: it is reported and fails no profile. **X** "
        "binds when the target declares the features named. Ids are stable for ever; wording may improve.",
        118,
    )
    for profile in registry.profiles.values():
        rows = [row for row in registry.requirements.values() if row.profile == profile.name]
        yield ""
        yield f"## Profile `{profile.name}`: {profile.title}"
        for section in dict.fromkeys(row.section for row in rows):
            yield ""
            yield f"### {section}"
            for row in rows:
                if row.section == section:
                    yield from _entry(row, tests.get(row.id, ()))
    yield ""


def _entry(row: Requirement, tests: tuple[SuiteTest, ...]) -> Iterator[str]:
    yield ""
    yield f"#### {row.id}: {row.title}"
    yield ""
    yield from textwrap.wrap(row.sentence, 118, break_long_words=False, break_on_hyphens=False)
    yield ""
    facts = {
        "Level": row.level,
        "Features": ", ".join(row.features) or "none",
        "Judged": {
            "each": "in every service-proxy mode",
            "own": f"in the proxy mode {row.mode}",
            "none": "once in a run",
        }[row.proxy],
        "Lane": row.lane,
        "Since": row.since,
        "From": "; ".join(row.source),
        "Test": ", ".join(f"`{test}`" for test in tests) or "none yet",
    }
    for name, value in facts.items():
        yield f"- {name}: {value}"


def _proxy(row: Requirement) -> str:
    return {"each": "each", "own": row.mode, "none": "-"}[row.proxy]


if __name__ == "__main__":
    print(as_markdown(), end="")
