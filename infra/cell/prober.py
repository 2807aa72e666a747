"""The probes of one run of a container: a thread for each, as long as the run lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kip_conformance.infra.cell.handlers import Handlers
from kip_conformance.infra.cell.probes import Counter, ProbeSpec

__all__ = ["Probing"]

Verdict = Callable[[ProbeSpec, bool, str], None]


class Probing:
    """`told` hears every change of a result, and every failure that goes on; `unhealthy` every first failure."""

    def __init__(self, handlers: Handlers, *, told: Verdict, unhealthy: Callable[[ProbeSpec, str], None]) -> None:
        self.handlers = handlers
        self.told = told
        self.unhealthy = unhealthy
        self.over = threading.Event()
        self.started = threading.Event()
        found = ((kind, handlers.container.get(f"{kind}Probe")) for kind in ("startup", "readiness", "liveness"))
        self.specs = {kind: ProbeSpec.of(kind, probe) for kind, probe in found if probe}
        if "startup" not in self.specs:
            self.started.set()

    def begin(self) -> None:
        for spec in self.specs.values():
            threading.Thread(target=self._follow, args=(spec,), daemon=True).start()

    def end(self) -> None:
        """Nothing is told any more once this has returned, but what is being told just now."""
        self.over.set()
        self.started.set()

    def _follow(self, spec: ProbeSpec) -> None:
        counter = Counter(spec)
        why_before: str | None = None
        if spec.kind != "startup":
            self.started.wait()
        pause = spec.delay
        while not self.over.wait(pause):
            began = time.monotonic()
            is_good, why = self.handlers.ask(spec.what, spec.timeout)
            if self.over.is_set():
                return
            if not is_good and why != why_before:
                self.unhealthy(spec, why)
            why_before = None if is_good else why
            if counter.add(is_good):
                self.told(spec, is_good, why)
                if spec.kind == "startup" and is_good:
                    self.started.set()
                    return
            pause = max(0.0, spec.period - (time.monotonic() - began))
