"""What is counted of a lab while it lives, and what of that is missed when it is gone."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.lab import cgroups
from kip_conformance.infra.lab.census import host_network, processes_of, take_census
from kip_conformance.infra.lab.control import Control, start_supervisor
from kip_conformance.infra.lab.state import LabFolder, new_run_id
from kip_conformance.infra.targets.lab import remove_lab


@pytest.fixture
def control() -> Iterator[Control]:
    """A supervisor with one machine, which the tests take down themselves."""
    folder = LabFolder.of(new_run_id())
    folder.path.mkdir(parents=True)
    started, lifeline = start_supervisor(folder)
    cgroups.create(folder.run_id, ["one"])
    started.add_netns({"m-one": {}})
    started.boot("one", "m-one", {"/etc/hosts": ""})
    yield started
    os.close(lifeline)
    remove_lab(folder)


def test_nothing_is_left_of_a_lab_that_was_taken_down(control):
    with contextlib.closing(take_census(control.folder, host_network())) as census:
        remove_lab(control.folder)

        assert census.left() == ()


def test_a_process_that_lives_on_in_a_lab_s_network_is_left(control):
    control.daemon("quiet", ["sleep", "600"], machine="one")
    # A daemon's process is there before the program that it becomes.
    (inside,) = eventually(lambda: sleepers(control), bool, within=10)
    stray = subprocess.Popen(["nsenter", "-t", inside, "-n", "sleep", "601"])
    with contextlib.closing(take_census(control.folder, host_network())) as census:
        try:
            remove_lab(control.folder)

            assert census.left(within=3) == (f"process {stray.pid} (sleep 601)",)
        finally:
            stray.kill()
            stray.wait()
        assert census.left() == ()


def sleepers(control: Control) -> list[str]:
    with contextlib.closing(take_census(control.folder, host_network())) as census:
        found = processes_of(control.folder.run_id, census.namespaces)
        return [each for each, line in found if line == "sleep 600"]


def test_a_lab_that_is_still_there_is_left(control):
    with contextlib.closing(take_census(control.folder, host_network())) as census:
        left = census.left(within=0)

    assert f"folder {control.folder.path}" in left
    assert any(line.startswith("control group ") for line in left)


def test_a_lab_of_which_nothing_is_found_cannot_be_counted():
    with pytest.raises(HarnessError, match="some were not found"):
        take_census(LabFolder.of("1122-000000-none"), host_network())
