"""The failed probe once more, while every vantage captures and is looked at before and after."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.findings.looks import View
from kip_conformance.infra.findings.scene import Case, OutOfTime, Scene
from kip_conformance.infra.findings.trace import Trace, trace_of
from kip_conformance.infra.machines.packets import read_packets
from kip_conformance.infra.probe.observation import Observation

__all__ = ["Repeated", "expression", "repeat"]

_TRIES = 16  # how often a Service with several endpoints is asked, until it chooses a broken one again
_SOURCE_PORTS = range(20000, 29000)  # below NodePorts and the kernel's own choice
_SETTLE = 0.25  # seconds that the last packets may take to reach their captures


@dataclass(frozen=True, slots=True)
class Repeated:
    """What the repetition showed: the last observation (None: it could not be concluded), and how it travelled."""

    observation: Observation | None
    is_same: bool
    tries: int
    trace: Trace
    captures: Mapping[str, bytes]
    unseen: Mapping[str, str]


def repeat(case: Case, scene: Scene, views: Sequence[View], endpoints: Sequence[str]) -> Repeated:
    """Probe until the defect shows again, or often enough. `endpoints` are the addresses behind the target.

    A vantage that cannot be looked at or captured at is in `unseen` with the reason. Raises OutOfTime.
    """
    unseen: dict[str, str] = {}
    raw: dict[str, bytes] = {}
    seen: Observation | None = None
    port, tries, is_same = 0, 0, False
    _look(scene, views, unseen, "before")
    with ExitStack() as stack:
        captures = {}
        for view in views:
            try:
                scene.deadline.share()
                captures[view.key] = stack.enter_context(view.machine.capture(expression(case, endpoints)))
            except OutOfTime:
                raise
            except HarnessError as error:
                unseen[view.key] = str(error)
        while not is_same and tries < (_TRIES if len(case.target.peers) > 1 else 3):
            port, tries = random.choice(_SOURCE_PORTS), tries + 1
            timeout = min(scene.timeout, scene.deadline.share())
            try:
                seen = scene.driver.one(case.client, case.target, timeout=timeout, source_port=port, attempts=1)
            except HarnessError:
                seen = None
            is_same = seen is None or case.is_like(seen)
        time.sleep(_SETTLE)
        for key, capture in captures.items():
            raw[key] = capture.stop()
    _look(scene, views, unseen, "after")
    packets = {}
    for view in views:
        try:
            names = view.after.names or view.before.names
            packets[view.key] = [
                (names.get(packet.interface, ""), packet) for packet in read_packets(raw.get(view.key, b""))
            ]
        except HarnessError as error:
            unseen.setdefault(view.key, str(error))
    trace = trace_of(packets, case.client.sources, port, case.target.protocol)
    return Repeated(seen, is_same, tries, trace, raw, unseen)


def expression(case: Case, endpoints: Sequence[str]) -> str:
    """A pcap-filter(7) expression for the probe, its answer and ICMP about it, whatever is translated on the way."""
    hosts = dict.fromkeys([*case.client.sources, case.target.address, *endpoints])
    ports = dict.fromkeys([case.target.port, *([case.target.backend_port] if case.target.backend_port else [])])
    those = " or ".join(f"host {address}" for address in hosts)
    numbers = " or ".join(f"port {port}" for port in ports)
    return f"({those}) and (({case.target.protocol} and ({numbers})) or icmp)"


def _look(scene: Scene, views: Sequence[View], unseen: dict[str, str], when: str) -> None:
    """All at once: most of the time is spent waiting for machines."""
    timeout = scene.deadline.share()

    def look(view: View) -> None:
        try:
            setattr(view, when, view.look(timeout))
        except HarnessError as error:
            unseen[view.key] = str(error)

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(look, views))
