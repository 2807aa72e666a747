"""For all tests of the cloud: a supervisor alone, on which they make networks and machines of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from kip_conformance.infra.lab.control import Control, start_supervisor
from kip_conformance.infra.lab.state import LabFolder, new_run_id
from kip_conformance.infra.targets.lab import remove_lab


@pytest.fixture(scope="session")
def supervised() -> Callable[[], AbstractContextManager[Control]]:
    """`with supervised() as control:` a supervisor without any machine."""
    return _supervised


@contextmanager
def _supervised() -> Iterator[Control]:
    if os.geteuid() != 0:
        pytest.fail("these tests make namespaces and need root", pytrace=False)
    folder = LabFolder.of(new_run_id())
    folder.path.mkdir(parents=True)
    control, lifeline = start_supervisor(folder)
    try:
        yield control
    finally:
        os.close(lifeline)
        remove_lab(folder)
