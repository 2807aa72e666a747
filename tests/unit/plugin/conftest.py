"""A folder in which the plugin runs against a target that is a file (world.py), in this process or in another."""

from __future__ import annotations

import importlib
import json
import pkgutil
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kip_conformance.infra import targets

# A run in this process forgets what it imported, and its next import would be a second copy of the same classes. So
# everything that such a run may need is imported here, for good.
importlib.import_module("jsonschema")
for _name in ("fixtures", "infra.judge", "infra.probe", "infra.workloads", "reports"):
    _package = importlib.import_module(f"kip_conformance.{_name}")
    for _module in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        importlib.import_module(_module.name)

_CONFTEST = """
from pathlib import Path
import kip_conformance.infra.targets as targets
targets.__path__.append(str(Path(__file__).parent / "kip-world"))
"""


@dataclass
class World:
    """The folder, and how to run pytest in it."""

    pytester: pytest.Pytester

    @property
    def path(self) -> Path:
        return self.pytester.path

    def tell(self, **what: Any) -> None:
        """What the target is to do: see world.py."""
        (self.path / "world.json").write_text(json.dumps(what))

    def suite(self, text: str) -> None:
        self.pytester.makepyfile(test_rows=f"import os, pytest, time\nfrom pathlib import Path\n{text}")

    def run(self, *arguments: str, own_process: bool = False) -> pytest.RunResult:
        """Run pytest on the fake cluster, results in `out`. Warnings are errors, as they are in this project."""
        run = self.pytester.runpytest_subprocess if own_process else self.pytester.runpytest_inprocess
        return run(*self.arguments(*arguments))

    def arguments(self, *arguments: str) -> list[str]:
        cluster = [] if "--attach" in arguments else ["--cluster", "fake"]
        out = [] if "--kip-out" in arguments else ["--kip-out", "out"]
        return [*cluster, *out, "-p", "no:cacheprovider", "-W", "error", *arguments]

    @property
    def events(self) -> list[str]:
        path = self.path / "events.txt"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def report(self) -> dict[str, Any]:
        return yaml.safe_load((self.path / "out" / "report.yaml").read_text())

    @property
    def items(self) -> list[dict[str, Any]]:
        return [item for row in self.report["rows"] for item in row["items"]]

    @property
    def verdicts(self) -> dict[str, str]:
        """Verdict by requirement and mode, such as SVC-01[nftables]."""
        return {
            f"{row['requirement']}[{row['mode']}]" if row.get("mode") else row["requirement"]: row["verdict"]
            for row in self.report["rows"]
        }


@pytest.fixture
def world(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> World:
    # These tests may themselves be run by a worker; the runs that they start are none.
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
    # The run's conftest adds to this list; for the tests after this one it is what it was.
    monkeypatch.setattr(targets, "__path__", [*targets.__path__])
    pytester.makeconftest(_CONFTEST)
    folder = pytester.mkdir("kip-world")
    shutil.copy(Path(__file__).with_name("world.py"), folder / "fake.py")
    return World(pytester)
