"""kube-proxy on a live lab: start it, and switch its mode so that nothing of the old one is left.

Switching: stop every proxy, let kube-proxy clean up its own rules, flush conntrack, start in the new mode, and wait
until each proxy itself reports the mode and has synced its rules.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from kip_conformance.infra.errors import HarnessError, UsageError
from kip_conformance.infra.lab.attempts import Attempts
from kip_conformance.infra.lab.cell_proxies import CellProxies
from kip_conformance.infra.lab.cells import change_mode
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.machine import LabMachine
from kip_conformance.infra.lab.node import NodeFiles

__all__ = ["MODES", "ServiceProxy"]

ThingT = TypeVar("ThingT")

MODES = ("iptables", "nftables")
_METRICS_PORT = 10249
_SYNCED = re.compile(r"^kubeproxy_sync_proxy_rules_last_timestamp_seconds(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


class ServiceProxy:
    """The kube-proxies of all nodes of one lab."""

    def __init__(
        self,
        control: Control,
        program: Path,
        files: Sequence[NodeFiles],
        machines: Mapping[str, LabMachine],
        cells: Mapping[str, LabMachine] | None = None,
    ) -> None:
        self.control = control
        self.program = program
        self.files = files
        self.machines = {**machines, **(cells or {})}
        self.cells = CellProxies(cells or {})

    def start(self, mode: str) -> None:
        """Start the proxy of every node in `mode`; returns at once. Raises UsageError for an unknown mode."""
        if mode not in MODES:
            raise UsageError(f"service proxy mode {mode!r}: this target runs {', '.join(MODES)}")
        for node in self.files:
            config = node.kube_proxy_config(mode)
            argv = [str(self.program), "--config", str(config), "--v=1"]
            self.control.daemon("kube-proxy", argv, machine=node.node.name)

    def switch(self, mode: str, *, within: float = 30.0) -> None:
        """Leave the present mode behind and run in `mode`. Raises HarnessError with the machine that did not follow."""
        if mode not in MODES:
            raise UsageError(f"service proxy mode {mode!r}: this target runs {', '.join(MODES)}")
        before = self.mode()
        if before == mode:
            return
        self._each(lambda node: self._leave(node, before))
        self.cells.switch(mode)
        change_mode(self.control, mode)
        self.start(mode)
        self.wait(mode, within=within)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """No node has a proxy for the length of the block; what they wrote stays. Returns once all have synced again.

        Raises HarnessError with the machine whose proxy did not end, or did not come back.
        """
        mode = self.mode()
        try:
            self._each(lambda node: self.control.end_daemon(node.node.name, "kube-proxy"))
            with self.cells.held():
                yield
        finally:
            self.start(mode)
            self.wait(mode)

    def _leave(self, node: NodeFiles, mode: str) -> None:
        name = node.node.name
        self.control.end_daemon(name, "kube-proxy")
        machine = self.machines[name]
        done = machine.run([str(self.program), "--cleanup", "--config", str(node.kube_proxy_config(mode))], timeout=30)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise HarnessError(f"{name}: kube-proxy --cleanup failed: {said[-1] if said else done.returncode}")
        # What the old mode translated must not go on under the new one.
        machine.run(["conntrack", "-F"])

    def wait(self, mode: str, *, within: float = 30.0) -> None:
        """Until every proxy reports `mode` and has written its rules once."""

        def wait_one(name: str) -> None:
            attempts = Attempts(within=within)
            while True:
                try:
                    reported = self._reported(name)
                    if reported != mode:
                        raise HarnessError(f"{name}: kube-proxy runs in {reported} mode, {mode} was asked for")
                    if self._has_synced(name):
                        return
                    why = "it has not written its rules"
                except HarnessError as error:
                    why = str(error)
                    self.control.check_daemons()
                if attempts.over():
                    raise HarnessError(f"{name}: kube-proxy is not ready in {mode} mode after {within:g} s: {why}")
                attempts.pause()

        _together(wait_one, self._names)

    def mode(self) -> str:
        """The mode that every proxy itself reports. Raises HarnessError when they differ or one is silent."""
        reported = {name: self._reported(name) for name in self._names}
        if len(set(reported.values())) != 1:
            said = ", ".join(f"{name} {mode}" for name, mode in reported.items())
            raise HarnessError(f"the nodes' proxies run in different modes: {said}")
        return next(iter(reported.values()))

    @property
    def _names(self) -> list[str]:
        return [*(node.node.name for node in self.files), *self.cells.machines]

    def _reported(self, name: str) -> str:
        return self.machines[name].http_get(_METRICS_PORT, "/proxyMode").strip()

    def _has_synced(self, name: str) -> bool:
        found = _SYNCED.findall(self.machines[name].http_get(_METRICS_PORT, "/metrics"))
        return any(float(stamp) > 0 for stamp in found)

    def _each(self, work: Callable[[NodeFiles], None]) -> None:
        _together(work, self.files)


def _together(work: Callable[[ThingT], None], things: Sequence[ThingT]) -> None:
    with ThreadPoolExecutor(max_workers=len(things)) as pool:
        for future in [pool.submit(work, thing) for thing in things]:
            future.result()
