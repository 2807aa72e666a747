"""The wheel: built from a clean copy, installed into an environment of its own, used from an empty folder.

It takes seconds and is no unit test. Nothing is fetched: the new environment sees the packages of this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST"))}
    return subprocess.run([*map(str, argv)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the files that git knows, by this environment's own setuptools: an empty cache must do."""
    copy = tmp_path_factory.mktemp("source")
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT)
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    own = ROOT / ".uv" / "bin" / "uv"
    uv = str(own) if own.exists() else "uv"
    how = ("--wheel", "--offline", "--no-build-isolation", "--python", sys.executable)
    built = run(uv, "build", *how, "--out-dir", out, copy, cwd=copy)
    assert built.returncode == 0, built.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and, behind it, the packages of this one but not this checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    scheme = sysconfig.get_preferred_scheme("prefix")
    packages = Path(sysconfig.get_path("purelib", scheme, vars={"base": str(folder)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    mine = Path(sysconfig.get_path("purelib"))
    for path in mine.iterdir():
        if "kip_conformance" not in path.name and path.suffix != ".pth" and not (packages / path.name).exists():
            (packages / path.name).symlink_to(path)
    return folder / "bin" / "python"


def test_the_rows_are_listed_from_an_empty_folder(python: Path, tmp_path: Path):
    result = run(python, "-m", "pytest", "--pyargs", "kip_conformance.suites", "--collect-only", "-q", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    items = [line for line in result.stdout.splitlines() if "::" in line]
    assert (
        "kip_conformance"
        in run(python, "-c", "import kip_conformance.suites as s; print(s.__file__)", cwd=tmp_path).stdout
    )
    catalogue = run(python, "-c", _CATALOGUE, cwd=tmp_path)
    assert catalogue.returncode == 0, catalogue.stderr
    rows = [line.split() for line in catalogue.stdout.splitlines()]
    assert len(rows) >= 10
    for _, test in rows:
        assert any(test in item for item in items), test
    assert list(tmp_path.iterdir()) == []


_CATALOGUE = """
import ast
from importlib.resources import files
for path in (files("kip_conformance.suites") / "networking").iterdir():
    if path.name.startswith("test_"):
        for node in ast.parse(path.read_text()).body:
            for mark in getattr(node, "decorator_list", ()):
                if isinstance(mark, ast.Call) and mark.func.attr == "requirement":
                    print(mark.args[0].value, node.name)
"""


def test_every_module_of_the_wheel_can_be_imported(python: Path, tmp_path: Path):
    code = (
        "import importlib, pkgutil\n"
        "for name in ('infra', 'fixtures', 'reports'):\n"
        "    package = importlib.import_module(f'kip_conformance.{name}')\n"
        "    for module in pkgutil.walk_packages(package.__path__, f'{package.__name__}.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
    )
    result = run(python, "-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_wheel_has_no_file_twice_and_no_test_of_ours(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert [name for name in names if not name.startswith(("kip_conformance/", "kip_conformance-"))] == []
    assert not [name for name in names if "/out/" in name]
