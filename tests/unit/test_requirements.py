"""The requirement registry: what ships is exact, and whatever is not exact is refused in one line."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from kip_conformance.infra.errors import UsageError
from kip_conformance.reports.requirements import closest, load_registry, load_requirements

ROW = {
    "id": "SVC-01",
    "title": "a title",
    "sentence": "It MUST work.",
    "level": "M",
    "profile": "networking",
    "section": "Services",
    "features": ["node-port"],
    "proxy": "each",
    "lane": "default",
    "since": "0.1.0",
    "source": ["new"],
}
GOOD: dict[str, Any] = {
    "profiles": {"networking": {"title": "Networking", "features": []}},
    "requirements": [ROW, {**ROW, "id": "PXY-01", "proxy": "own", "mode": "iptables"}],
}


def changed(**keys: Any) -> dict[str, Any]:
    """The good registry with keys of its first row replaced; None drops the key."""
    registry = copy.deepcopy(GOOD)
    registry["requirements"][0] = {key: value for key, value in {**ROW, **keys}.items() if value is not None}
    return registry


def without_row(key: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != key}


BROKEN = {
    "no requirements": (without_row("requirements"), "keys profiles and requirements"),
    "another top key": ({**GOOD, "extra": 1}, "keys profiles and requirements"),
    "requirements empty": ({**GOOD, "requirements": []}, "list of rows"),
    "profiles empty": ({**GOOD, "profiles": {}}, "mapping of name"),
    "row a string": ({**GOOD, "requirements": ["SVC-01"]}, "row 1: must be a mapping"),
    "profile a list": ({**GOOD, "profiles": {"networking": []}}, "profile networking: must be a mapping"),
    "profile key": (
        {**GOOD, "profiles": {"networking": {"title": "x", "features": [], "more": 1}}},
        "profile networking: key more: unknown",
    ),
    "missing key": (changed(sentence=None), "row SVC-01: key sentence: missing"),
    "missing id": (changed(id=None), "row 1: key id: missing"),
    "unknown key": (changed(colour="red"), "row SVC-01: key colour: unknown"),
    "level": (changed(level="MUST"), "row SVC-01: key level: unknown 'MUST'; known: M, S, X"),
    "proxy": (changed(proxy="all"), "row SVC-01: key proxy: unknown 'all'"),
    "lane": (changed(lane="weekly"), "row SVC-01: key lane: unknown 'weekly'"),
    "id": (changed(id="SVC-1"), "row SVC-1: key id: 'SVC-1' is not"),
    "since": (changed(since="0.1"), "row SVC-01: key since: '0.1' is not a version"),
    "since a number": (changed(since=0.1), "row SVC-01: key since: must be a string"),
    "title empty": (changed(title=""), "row SVC-01: key title: must be a string"),
    "title padded": (changed(title=" x"), "row SVC-01: key title: must be a string"),
    "features a string": (changed(features="exec"), "row SVC-01: key features: must be a list"),
    "feature twice": (changed(features=["exec", "exec"]), "row SVC-01: key features: has an entry twice"),
    "feature's form": (changed(features=["Node Port"]), "row SVC-01: key features: 'Node Port'"),
    "no source": (changed(source=[]), "row SVC-01: key source: must name at least one"),
    "source a number": (changed(source=[1]), "row SVC-01: key source: must be a list of strings"),
    "own without mode": (changed(proxy="own"), "row SVC-01: key mode: goes with"),
    "mode without own": (changed(mode="ipvs"), "row SVC-01: key mode: goes with"),
    "mode's form": (changed(proxy="own", mode="IP VS"), "row SVC-01: key mode: 'IP VS' is not"),
}
BEYOND_A_SCHEMA = {
    "id twice": (changed(id="PXY-01"), "row PXY-01: key id: PXY-01 is there twice"),
    "unknown profile": (changed(profile="cells"), "row SVC-01: key profile: unknown 'cells'; known: networking"),
}


def load(tmp_path: Path, registry: object) -> Any:
    path = tmp_path / "rows.yaml"
    path.write_text(yaml.safe_dump(registry), encoding="utf-8")
    return load_registry(path)


@pytest.fixture
def schema() -> Draft202012Validator:
    text = resources.files("kip_conformance.suites").joinpath("requirements.schema.json").read_text(encoding="utf-8")
    Draft202012Validator.check_schema(json.loads(text))
    return Draft202012Validator(json.loads(text))


def test_what_ships_keeps_to_the_schema_and_has_the_first_ten_rows(schema: Draft202012Validator) -> None:
    text = resources.files("kip_conformance.suites").joinpath("requirements.yaml").read_text(encoding="utf-8")
    schema.validate(yaml.safe_load(text))
    rows = load_requirements()
    first = ["IDN-01", "IDN-02", "IDN-04", "P2P-01", "P2P-02", "P2P-03", "N2P-01", "N2P-07", "SVC-01", "NPT-01"]
    assert set(first) <= set(rows)
    assert {(rows[identifier].level, rows[identifier].since) for identifier in first} == {("M", "0.1.0")}
    assert [identifier for identifier in first if rows[identifier].proxy == "each"] == ["SVC-01", "NPT-01"]


def test_every_sentence_is_one_in_rfc_2119_words() -> None:
    words = {"M": r"\bMUST\b", "S": r"\bSHOULD\b", "X": r"\b(MUST|SHOULD)\b"}
    for row in load_requirements().values():
        assert re.search(words[row.level], row.sentence), row.id
        assert row.sentence.endswith("."), row.id
        assert len(row.title) <= 38, f"{row.id}: the title does not fit a table of 80 columns"


@pytest.mark.parametrize("name", [*BROKEN, *BEYOND_A_SCHEMA])
def test_anything_inexact_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    registry, expected = {**BROKEN, **BEYOND_A_SCHEMA}[name]
    with pytest.raises(UsageError) as caught:
        load(tmp_path, registry)
    message = str(caught.value)
    assert expected in message
    assert message.startswith(f"{tmp_path}/rows.yaml: ")
    assert "\n" not in message


@pytest.mark.parametrize("name", BROKEN)
def test_the_schema_refuses_the_same(schema: Draft202012Validator, name: str) -> None:
    assert not schema.is_valid(BROKEN[name][0])


def test_loader_and_schema_accept_the_same(tmp_path: Path, schema: Draft202012Validator) -> None:
    assert schema.is_valid(GOOD)
    assert list(load(tmp_path, GOOD).requirements) == ["SVC-01", "PXY-01"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "not YAML"),
        ("profiles: {}\nprofiles: {}\n", "a key is there twice"),
        ("- 1\n", "keys profiles and requirements"),
        ("", "keys profiles and requirements"),
    ],
)
def test_a_file_that_is_no_registry_is_refused_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "rows.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=expected) as caught:
        load_registry(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml: cannot be read"):
        load_registry(tmp_path / "none.yaml")


def test_a_row_knows_its_modes(tmp_path: Path) -> None:
    rows = load(tmp_path, GOOD).requirements
    assert rows["SVC-01"].modes(("nftables", "iptables")) == ("nftables", "iptables")
    assert rows["PXY-01"].modes(("nftables", "iptables")) == ("iptables",)
    assert rows["PXY-01"].modes(("nftables",)) == ()
    assert load_requirements()["IDN-01"].modes(("nftables", "iptables")) == (None,)


@pytest.mark.parametrize(
    ("wanted", "first"), [("svc-01", "SVC-01"), ("SVC01", "SVC-01"), ("NTP-01", "NPT-01"), (" idn-1 ", "IDN-01")]
)
def test_the_closest_ids_are_suggested(wanted: str, first: str) -> None:
    assert closest(wanted, load_requirements())[0] == first


def test_nothing_is_suggested_for_something_else() -> None:
    assert closest("bananas", load_requirements()) == ()


def test_reading_the_registry_imports_little() -> None:
    code = (
        "import sys; from kip_conformance.reports.requirements import load_requirements; load_requirements();"
        "print(sorted({'jsonschema', 'rich', 'pytest', 'kubernetes', 'allure'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
