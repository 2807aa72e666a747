"""What a cell is told, and the archive that it fetches."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest
from kip_conformance.infra.cell import archive
from kip_conformance.infra.cell.user_data import LIMIT, CellSettings, render
from kip_conformance.infra.errors import UsageError

SETTINGS = CellSettings(
    "v1", "http://10.0.0.1:8000", "ab" * 32, "CA", "CERT\n", "KEY'\"$`\n", "kip-node", vpc_cidrs=("10.0.0.0/16",)
)


def test_settings_travel_as_json():
    assert CellSettings.from_json(SETTINGS.to_json()) == SETTINGS
    assert "proxy_mode" not in SETTINGS.to_json()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "a JSON object is needed"),
        ('{"wrong": 1}', "wrong is no field; there are api_ca, "),
        ('{"version": "1"}', "url is missing"),
    ],
)
def test_settings_that_are_wrong_are_named(text, said):
    with pytest.raises(ValueError, match=said):
        CellSettings.from_json(text)


def test_keys_and_tokens_are_not_shown():
    assert "KEY" not in repr(SETTINGS)
    assert "10.0.0.0/16" in repr(SETTINGS)


def test_the_script_is_a_script_and_holds_the_settings_unharmed(tmp_path):
    script = render(SETTINGS)
    assert script.startswith("#!/bin/sh\n")
    settings = script.partition("<<'SETTINGS'\n")[2].partition("\nSETTINGS\n")[0]
    assert CellSettings.from_json(settings) == SETTINGS
    assert subprocess.run(["sh", "-n"], input=script.encode(), check=False).returncode == 0
    compile(script.partition("<<'FETCH' || exit 1\n")[2].partition("FETCH\n")[0], "launcher", "exec")


def test_user_data_that_is_too_large_is_refused():
    large = CellSettings("v", "u", "s", "C" * LIMIT, "c", "k", "n")
    with pytest.raises(UsageError, match="and an instance takes 16384"):
        render(large)


def test_the_archive_is_the_same_each_time_and_knows_its_version(tmp_path):
    path, digest = archive.build(tmp_path / "one")
    again, other = archive.build(tmp_path / "two")

    assert digest == other
    assert path.read_bytes() == again.read_bytes()
    assert path.name == f"itzo-{archive.version()}"
    said = subprocess.run(
        [sys.executable, "-I", "-S", str(path), "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == archive.version()


def test_the_archive_has_what_runs_on_the_cell_and_no_more(tmp_path):
    path, _ = archive.build(tmp_path)
    with zipfile.ZipFile(path) as opened:
        names = opened.namelist()

    assert "kip_conformance/infra/cell/keeper.pyc" in names
    assert not any("user_data" in name or "archive" in name or "errors" in name for name in names)


def test_a_command_that_is_none_says_how_it_is_called(tmp_path):
    path, _ = archive.build(tmp_path)
    done = subprocess.run([sys.executable, "-I", str(path), "what"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("usage: itzo-VERSION --settings FILE")
