"""The catalogue: every requirement with its test, found in the suites' source, and docs/catalogue.md up to date."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kip_conformance.infra.errors import UsageError
from kip_conformance.reports.catalogue import SuiteTest, as_json, as_markdown, as_text, find_tests
from kip_conformance.reports.requirements import load_requirements

ROOT = Path(__file__).parents[2]


def suite(tmp_path: Path, text: str) -> Path:
    (tmp_path / "networking").mkdir()
    (tmp_path / "networking" / "test_services.py").write_text(text, encoding="utf-8")
    return tmp_path


def test_marks_are_found_without_importing(tmp_path: Path) -> None:
    text = """
import pytest, there_is_no_such_module

@pytest.mark.requirement("SVC-01")
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_one(): ...

@pytest.mark.requirement("SVC-03")
class TestHairpin:
    def test_two(self): ...
    def not_a_test(self): ...

@pytest.mark.requirement("SVC-03")
async def test_three(): ...

def test_unmarked(): ...
"""
    file = "suites/networking/test_services.py"
    assert find_tests(suite(tmp_path, text)) == {
        "SVC-01": (SuiteTest(file, "test_one"),),
        "SVC-03": (SuiteTest(file, "TestHairpin::test_two"), SuiteTest(file, "test_three")),
    }


@pytest.mark.parametrize("mark", ["requirement", "requirement()", 'requirement("A", "B")', "requirement(NAME)"])
def test_a_mark_that_is_not_one_literal_id_is_refused_with_its_line(tmp_path: Path, mark: str) -> None:
    path = suite(tmp_path, f"import pytest\n\n@pytest.mark.{mark}\ndef test_one(): ...\n")
    with pytest.raises(UsageError, match=r"^suites/networking/test_services\.py:3: the requirement mark takes"):
        find_tests(path)


def test_a_file_that_is_not_python_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^suites/networking/test_services\.py: not Python"):
        find_tests(suite(tmp_path, "def"))


def test_the_json_form_is_stable() -> None:
    document = json.loads(as_json(tests={"SVC-01": (SuiteTest("suites/a.py", "test_a"),)}))
    assert list(document) == ["version", "suiteVersion", "profiles", "requirements"]
    assert document["version"] == 1
    [row] = [row for row in document["requirements"] if row["id"] == "SVC-01"]
    expected = "id title sentence level profile section features proxy lane since source mode tests"
    assert list(row) == expected.split()
    assert row["tests"] == [{"file": "suites/a.py", "function": "test_a"}]


def test_the_text_form_has_a_line_a_row() -> None:
    lines = as_text(tests={"IDN-01": (SuiteTest("suites/a.py", "test_a"),)}).splitlines()
    assert lines[:5] == [
        "ID      Level  Proxy  Lane        Requirement",
        "IDN-01  M      -      default     podIP is set, first, and unique",
        "        suites/a.py::test_a",
        "IDN-02  M      -      default     a pod's interface carries its podIP",
        "        no test",
    ]
    assert lines[-1] == f"{len(load_requirements())} requirements"


def test_every_requirement_has_a_test_and_every_test_a_requirement() -> None:
    assert set(find_tests()) == set(load_requirements())


def test_the_page_is_what_the_generator_makes() -> None:
    page = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert page == as_markdown(), "renew it: python -m kip_conformance.reports.catalogue > docs/catalogue.md"


def test_the_catalogue_needs_neither_pytest_nor_a_cluster() -> None:
    code = (
        "import sys; from kip_conformance.reports.catalogue import as_text; as_text();"
        "print(sorted({'pytest', 'kubernetes', 'jsonschema'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
