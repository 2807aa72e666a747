"""Fixtures of the lab tests: real labs on this machine, and what the host looks like before and after."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kip_conformance.infra.lab import cgroups
from kip_conformance.infra.lab.control import Control, start_supervisor
from kip_conformance.infra.lab.state import LabFolder, new_run_id
from kip_conformance.infra.targets.lab import remove_lab
from kip_conformance.infra.targets.lab_features import FEATURES
from kip_conformance.reports.requirements import load_requirements

# What changes by itself on any machine, or counts instead of setting.
_RESTLESS = re.compile(
    r"^(fs\.(dentry-state|inode-nr|inode-state|file-nr|aio-nr|quota|epoll)|kernel\.(ns_last_pid|random|pty\.nr|tainted)"
    r"|net\.netfilter\.nf_conntrack_count|net\.ipv4\.(route\.|tcp_mem|udp_mem)|vm\.stat|kernel\.keys"
    r"|kernel\.sched_domain|net\.core\.netdev_rss_key|net\.core\.bpf_jit)"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lab tests need root; without it they end in one clear error each instead of a pass."""
    for item in items:
        if "tests/lab" in str(item.path) and os.geteuid() != 0:
            item.add_marker(pytest.mark.usefixtures("needs_root"))


@pytest.fixture
def needs_root() -> None:
    pytest.fail("lab tests make namespaces and need root", pytrace=False)


def host_state() -> dict[str, str]:
    """What a run must leave as it was: links, routes, rules, sysctls, services, mounts, folders. Groups are a run's."""

    def said(*argv: str) -> str:
        try:
            return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        except FileNotFoundError:
            return ""

    settings = said("sysctl", "-a")
    return {
        "links": said("ip", "-o", "link"),
        "addresses": said("ip", "-o", "addr"),
        "routes": said("ip", "route", "show", "table", "all"),
        "rules": said("ip", "rule"),
        "neighbours": said("ip", "-o", "neigh", "show", "nud", "permanent"),
        "nftables": said("nft", "list", "ruleset"),
        "namespaces": said("ip", "netns"),
        "sysctls": "\n".join(line for line in settings.splitlines() if not _RESTLESS.match(line)),
        "services": said("systemctl", "list-units", "--type=service", "--no-legend", "--plain"),
        # Mounts below /tmp are other tests' own.
        "mounts": "\n".join(m for m in Path("/proc/self/mounts").read_text().splitlines() if " /tmp/" not in m),
        "folders": "\n".join(
            str(path)
            for folder in ("/run", "/etc", "/opt", "/var/lib", "/usr/libexec", "/etc/cni", "/opt/cni", "/var/run")
            if Path(folder).is_dir()
            for path in sorted(Path(folder).iterdir())
        ),
    }


def lab_processes(run_id: str) -> list[str]:
    """Command lines of processes that belong to a run, seen from the host."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                groups = (process / "cgroup").read_text()
            except OSError:
                continue
            if (run_id in line and "pytest" not in line) or cgroups.lab_group(run_id) in groups:
                found.append(line)
    return found


def wait_until(condition: Callable[[], object], *, within: float, what: str) -> None:
    """Wait for a condition; fails with `what` when it does not come true."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{what} (waited {within:g} s)"
        time.sleep(0.02)


def assert_nothing_left(run_id: str, *, within: float = 20.0) -> None:
    """No process, group, folder or mount of the run exists."""
    folder = LabFolder.of(run_id)
    wait_until(lambda: not lab_processes(run_id), within=within, what=f"processes of {run_id} are left")
    # Not asked of the code that removes them: it once overlooked a whole hierarchy.
    pattern = f"**/{cgroups.lab_group(run_id)}"
    wait_until(
        lambda: not list(Path("/sys/fs/cgroup").glob(pattern)), within=within, what=f"groups of {run_id} are left"
    )
    wait_until(lambda: not folder.path.exists(), within=within, what=f"{folder.path} is left")
    assert run_id not in Path("/proc/self/mounts").read_text()


@pytest.fixture
def bare_lab() -> Iterator[Control]:
    """A supervisor without any machine."""
    folder = LabFolder.of(new_run_id())
    folder.path.mkdir(parents=True)
    control, lifeline = start_supervisor(folder)
    yield control
    os.close(lifeline)
    remove_lab(folder)


def suites_command(*arguments: str) -> list[str]:
    """The suites as a user runs them, in a process of its own."""
    return [sys.executable, "-m", "pytest", "--pyargs", "kip_conformance.suites", "-p", "no:cacheprovider", *arguments]


def surprises(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Of a report's rows on a lab that names no further places: those that were not as green as they should be.

    What needs a feature that such a lab does not declare is to be not-runnable, and all else to pass.
    """
    known = load_requirements()
    found = {}
    for row in rows:
        is_declared = set(known[row["requirement"]].features) <= set(FEATURES)
        if row["verdict"] != ("pass" if is_declared else "not-runnable"):
            found[f"{row['requirement']} {row.get('mode', '')}".strip()] = row["verdict"]
    return found
