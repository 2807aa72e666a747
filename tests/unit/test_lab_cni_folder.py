"""CNI folders are checked before anything starts."""

from __future__ import annotations

import json
import os

import pytest
from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.lab.cni_folder import BUILT_IN, CniFolder, built_in
from kip_conformance.infra.lab.plan import NODES


@pytest.fixture
def distribution(tmp_path):
    folder = tmp_path / "distribution"
    folder.mkdir()
    for name in ("ptp", "bridge", "host-local", "portmap"):
        program(folder / name)
    return folder


def program(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def folder_with(tmp_path, *plugins):
    folder = tmp_path / "vendor"
    folder.mkdir()
    conflist = {"cniVersion": "1.0.0", "name": "v", "plugins": list(plugins)}
    (folder / "10-v.conflist").write_text(json.dumps(conflist))
    return folder


@pytest.mark.parametrize("name", built_in())
def test_every_built_in_folder_is_sound(name, distribution):
    found = CniFolder.find(name, distribution)

    assert found.conflist.parent == BUILT_IN / name
    assert "host-local" in found.plugins


def test_a_vendors_plugin_comes_from_its_own_bin(tmp_path, distribution):
    folder = folder_with(tmp_path, {"type": "mine", "ipam": {"type": "host-local"}})
    program(folder / "bin" / "mine")
    program(folder / "bin" / "helper")

    found = CniFolder.find(str(folder), distribution)

    assert found.plugins["mine"] == folder / "bin" / "mine"
    assert found.plugins["host-local"] == distribution / "host-local"
    assert "helper" in found.plugins


def test_installing_fills_in_the_nodes_values(tmp_path, distribution):
    folder = folder_with(tmp_path, {"type": "ptp", "ipam": {"type": "host-local", "subnet": "${POD_CIDR}"}})

    CniFolder.find(str(folder), distribution).install(NODES[0], tmp_path / "conf", tmp_path / "bin")

    written = json.loads((tmp_path / "conf" / "10-v.conflist").read_text())
    assert written["plugins"][0]["ipam"]["subnet"] == NODES[0].pod_cidr
    assert os.readlink(tmp_path / "bin" / "ptp") == str(distribution / "ptp")


def test_an_unknown_name_lists_the_built_in_ones():
    with pytest.raises(UsageError, match="--cni nope: neither a folder nor one of bridge, routed"):
        CniFolder.find("nope")


def test_a_folder_without_conflist_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"must hold exactly one \*\.conflist, found none"):
        CniFolder.find(str(tmp_path))


def test_a_plugin_that_is_missing_is_named_with_where_it_was_looked_for(tmp_path, distribution):
    folder = folder_with(tmp_path, {"type": "mine"})

    with pytest.raises(UsageError, match=f"needs plugin 'mine', which is neither executable in {folder}/bin nor in"):
        CniFolder.find(str(folder), distribution)


def test_a_plugin_that_cannot_be_executed_counts_as_missing(tmp_path, distribution):
    folder = folder_with(tmp_path, {"type": "mine"})
    program(folder / "bin" / "mine")
    (folder / "bin" / "mine").chmod(0o644)

    with pytest.raises(UsageError, match="needs plugin 'mine'"):
        CniFolder.find(str(folder), distribution)


@pytest.mark.parametrize("text", ["", "[]", '{"plugins": 3}', '{"plugins": [{}]}'])
def test_a_conflist_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "10-v.conflist").write_text(text)

    with pytest.raises(UsageError, match="not a CNI network configuration list"):
        CniFolder.find(str(tmp_path))
