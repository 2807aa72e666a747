"""What the providers of a lab are told, and for how long."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import yaml
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab import cells
from kip_conformance.infra.workloads.provider import Provider

TOLD = {"cells": {"nametag": "lab", "itzo": {"url": "http://a", "version": "1"}}, "cloud": {"aws": {}}}


class Cluster:
    def __init__(self, folder):
        self.control = SimpleNamespace(folder=SimpleNamespace(path=folder, run_id="mine"))
        self.config = folder / "provider.yaml"
        self.config.write_text(yaml.safe_dump(TOLD))
        self.seen = []

    def restarted(self, _):
        self.seen.append(yaml.safe_load(self.config.read_text()))

    def provider_settings(self):
        return cells.provider_settings(self.control)

    def providers_told(self, change):
        return cells.providers_told(self.control, change)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Each restart of the providers notes what provider.yaml says then."""
    made = Cluster(tmp_path)
    monkeypatch.setattr(cells, "restart_providers", made.restarted)
    return made


def test_providers_start_with_what_they_are_told_and_then_with_what_was(cluster):
    provider = Provider(cluster)
    with provider.configured(itzo={**provider.agent(), "url": "http://b"}):
        pass
    assert [one["cells"]["itzo"]["url"] for one in cluster.seen] == ["http://b", "http://a"]
    assert cluster.seen[0]["cells"]["nametag"] == "lab"


def test_the_settings_come_back_after_an_error(cluster):
    with pytest.raises(ZeroDivisionError), Provider(cluster).configured(nametag="other"):
        raise ZeroDivisionError
    assert cluster.seen[-1] == TOLD


def test_a_lab_without_providers_says_so(cluster):
    cluster.config.unlink()
    with pytest.raises(HarnessError, match="lab mine has no providers"):
        Provider(cluster).agent()
