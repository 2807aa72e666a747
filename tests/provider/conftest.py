"""The world of the provider's tests, once a session, and a provider that runs in it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from kip_conformance.infra.lab.control import start_supervisor
from kip_conformance.infra.lab.state import LabFolder, new_run_id
from kip_conformance.infra.targets.lab import remove_lab

from .world import World, world_on


@pytest.fixture(scope="session")
def bare_world() -> Iterator[World]:
    """Without a provider."""
    if os.geteuid() != 0:
        pytest.fail("these tests make namespaces and need root", pytrace=False)
    folder = LabFolder.of(new_run_id())
    folder.path.mkdir(parents=True)
    control, lifeline = start_supervisor(folder)
    try:
        with world_on(control) as world:
            yield world
    finally:
        os.close(lifeline)
        remove_lab(folder)


@pytest.fixture(scope="session")
def world(bare_world: World) -> World:
    """With a provider that runs; a test that stops or configures it starts it again as it was."""
    bare_world.configure()
    bare_world.start_provider()
    return bare_world
