"""Who may import what, and whether what is packaged is what is in the tree."""

from __future__ import annotations

import ast
import fnmatch
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGED = ("infra", "fixtures", "suites", "reports")
CHECKOUT_ONLY = "infra/setup/"
"""What makes the environment of a checkout; an installed wheel has one."""


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if "out" not in path.parts)


def imported(path: Path) -> Iterator[str]:
    """Every module that the file imports, anywhere in it; of `from a import b` both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenders(folder: str, *forbidden: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(folder)
        for name in imported(path)
        if any(name == module or name.startswith(f"{module}.") for module in forbidden)
    ]


def test_infra_never_imports_pytest_nor_what_is_above_it():
    assert offenders("infra", "pytest", "_pytest", "kip_conformance.fixtures", "kip_conformance.suites") == []


def test_suites_start_no_process_use_no_client_and_never_sleep():
    assert offenders("suites", "subprocess", "os.system", "kubernetes", "boto3", "botocore", "time", "asyncio") == []


def test_suites_stand_on_infra_alone():
    assert offenders("suites", "kip_conformance.fixtures", "kip_conformance.reports") == []


def test_reports_know_no_pytest():
    assert offenders("reports", "pytest", "_pytest", "kip_conformance.fixtures") == []


def test_the_prober_needs_the_standard_library_alone():
    import sys

    names = {name.partition(".")[0] for name in imported(ROOT / "infra/probe/prober.py")}
    assert names - {""} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("folder", PACKAGED)
def test_everything_is_imported_by_its_full_name(folder):
    """`infra` beside `kip_conformance.infra` would be two copies of each class."""
    assert offenders(folder, *PACKAGED) == []


def test_no_test_imports_a_fixture():
    """It would be a second one: what lives as long as the session would be made, and be in its own way, twice."""
    found = []
    for path in sources("tests"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                beside = path.parent.joinpath(*node.module.split(".")).with_suffix(".py")
                shared = fixtures_of(beside) & {alias.name for alias in node.names} if beside.exists() else set()
                found += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(shared)]
    assert found == []


def test_workers_take_the_tests_of_one_world_together():
    from tests.conftest import world_of

    assert world_of("tests/cloud/cell/test_life.py::test_it[a]") == "tests/cloud/cell"
    assert world_of("tests/provider/test_wishes.py::test_it") == "tests/provider"
    assert world_of("tests/lab/test_fabric.py::test_it") == "tests/lab/test_fabric.py"


def fixtures_of(path: Path) -> set[str]:
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    return {one.name for one in functions if any("fixture" in ast.unparse(mark) for mark in one.decorator_list)}


def packaging() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_the_list_of_packages_is_the_tree():
    found = {f"kip_conformance.{'.'.join(path.parent.relative_to(ROOT).parts)}" for path in sources(*PACKAGED)}
    assert sorted(packaging()["packages"]) == sorted(found)


def test_every_folder_of_modules_is_a_package():
    packages = {path.parent for path in sources(*PACKAGED)}
    assert [str(path) for path in packages if not (path / "__init__.py").exists()] == []


def test_every_file_that_is_no_python_is_packaged():
    """A file of a package that the wheel would lack is found here, and not by a user."""
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", *PACKAGED], cwd=ROOT, text=True)
    package_data = packaging()["package-data"]
    missing = []
    for name in listed.splitlines():
        path = Path(name)
        if path.suffix in (".py", ".md") or name.startswith(CHECKOUT_ONLY) or not (ROOT / path).exists():
            continue
        homes = [parent for parent in path.parents if (ROOT / parent / "__init__.py").exists()]
        inside = path.relative_to(homes[0]).as_posix()
        patterns = package_data.get(f"kip_conformance.{'.'.join(homes[0].parts)}", [])
        if not any(fnmatch.fnmatch(inside, pattern) for pattern in patterns):
            missing.append(name)
    assert missing == []


def test_no_file_names_what_only_this_machine_has():
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    texts = [ROOT / name for name in listed if Path(name).suffix in (".py", ".md", ".toml", ".yaml", ".json", ".txt")]
    words = ("/" + "work/", "/root" + "/.")
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in texts
        if path.exists()
        for word in words
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []
