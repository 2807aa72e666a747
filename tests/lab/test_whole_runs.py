"""Runs of the suites, lab and all, as a user starts them: other CNIs, other versions, several at once."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from kip_conformance.infra.lab.cni_folder import BUILT_IN, DISTRIBUTION_PLUGINS
from kip_conformance.infra.lab.state import lab_folders

from .conftest import suites_command, surprises

# Of everything that two labs could share by mistake: addresses, ports, proxies, names, sysctls, files of the host.
SHARED = ("IDN-01", "IDN-04", "P2P-02", "P2P-03", "N2P-01", "N2P-07", "CNI-04", "SVC-01", "PXY-05", "NPT-01", "DNS-01")


# What another machine, another agent and another service proxy could get wrong; HPT-01 makes pods of its own.
ON_CELLS = ("IDN-02", "IDN-04", "P2P-02", "N2P-07", "SVC-01", "HPT-01", "PXY-05")


def rows_of(*identifiers: str) -> list[str]:
    return [part for identifier in identifiers for part in ("--requirement", identifier)]


def run_suites(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        suites_command("--cluster", "lab", "-n", "2", "--kip-out", str(folder / "out"), *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
    )


def passed(run: subprocess.Popen[str], folder: Path, *, timeout: float = 480) -> dict[str, str]:
    """Wait for a run in which all that a lab declares must be green; returns the versions of its components."""
    said, _ = run.communicate(timeout=timeout)
    assert run.returncode == 0, said
    report = yaml.safe_load((folder / "out" / "report.yaml").read_text())
    assert (bool(report["rows"]), surprises(report["rows"])) == (True, {}), said
    components: dict[str, str] = report["environment"]["components"]
    return components


@pytest.fixture
def vendor_folder(tmp_path):
    """What a vendor brings: a conflist, plug-in programs of its own, and a manifest."""
    folder = tmp_path / "vendor-cni"
    shutil.copytree(BUILT_IN / "bridge", folder)
    (folder / "bin").mkdir()
    for plugin in ("bridge", "host-local"):
        shutil.copy(DISTRIBUTION_PLUGINS / plugin, folder / "bin" / plugin)
    (folder / "manifests").mkdir()
    (folder / "manifests" / "settings.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vendor-cni, namespace: kube-system}\ndata: {mode: bridge}\n"
    )
    return folder


def test_a_vendors_cni_folder_is_judged(tmp_path, vendor_folder):
    run = run_suites(tmp_path / "run", "--cni", str(vendor_folder), *rows_of(*SHARED, "CNI-01", "CNI-02", "HPT-01"))

    assert passed(run, tmp_path / "run")["cni"] == "vendor-cni"


def test_two_labs_at_once_do_not_collide(tmp_path, monkeypatch):
    with tempfile.TemporaryDirectory(prefix="kip-") as state:
        monkeypatch.setenv("KIP_STATE", f"{state}/s")  # others may have labs in the usual one
        judge_two_at_once(tmp_path)
        assert not list(lab_folders())


def judge_two_at_once(tmp_path):
    runs = [(run_suites(tmp_path / name, *rows_of(*SHARED)), tmp_path / name) for name in ("one", "two")]

    for run, folder in runs:
        passed(run, folder)


def test_cells_are_judged_like_nodes_in_both_proxy_modes(tmp_path):
    run = run_suites(tmp_path / "run", "--kip-places", "cell-a,cell-private", *rows_of(*ON_CELLS))

    passed(run, tmp_path / "run")
    report = yaml.safe_load((tmp_path / "run" / "out" / "report.yaml").read_text())
    cases = {
        (row["requirement"], row.get("mode", ""), case)
        for row in report["rows"]
        for item in row["items"]
        for grid in item["grids"]
        for case in grid["passedCases"]
    }
    assert ("IDN-04", "", "cell-a-to-node-b") in cases
    assert ("IDN-04", "", "node-a-to-cell-private") in cases
    for mode in ("iptables", "nftables"):
        assert ("SVC-01", mode, "cell-private-to-clusterip") in cases


@pytest.mark.nightly
def test_the_older_kubernetes_with_the_distributions_containerd(tmp_path):
    # The first time, its programs are built.
    components = passed(run_suites(tmp_path / "run", "--kubernetes", "1.34.4"), tmp_path / "run", timeout=1800)

    assert components["kubernetes"] == "1.34.4"
    assert components["containerd"].startswith("1.6.")
