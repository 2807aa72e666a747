"""Lanes of this software's own tests: what takes long runs at night, or when it is asked for."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

# Here and not beside its users: pytest takes the line from the conftest of a whole run's first folder only.
pytest_plugins = ["pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="run the tests marked nightly too, which take minutes each")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "nightly: takes minutes; deselected unless --nightly is given")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--nightly"):
        left_out = [item for item in items if item.get_closest_marker("nightly")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Workers take whole files, in the order of the command line; whole folders where these share one world."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class ByWorld(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return world_of(nodeid)

    return ByWorld(config, log)


def world_of(nodeid: str) -> str:
    """What one worker runs whole: a folder of tests of the cloud or the provider, which share a world; else a file."""
    file = PurePosixPath(nodeid.partition("::")[0])
    has_world = file.is_relative_to("tests/cloud") or file.is_relative_to("tests/provider")
    return str(file.parent if has_world else file)
