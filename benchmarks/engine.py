"""The probing engine by itself: nine probers as local processes over pipes, no cluster and no exec stream.

What a matrix costs here is the probers' and the driver's own work; what it costs more in matrix.py is the cluster's.
As root the probers sit in network namespaces joined by a bridge, else on loopback addresses.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.probe.driver import Driver

from benchmarks import matrix_local
from benchmarks.probing import all_open
from benchmarks.session import PODS, Session

__all__ = ["ABOUT", "NEEDS_ROOT", "run"]

ABOUT = "the same matrix and batches among nine local processes: the engine alone"
NEEDS_ROOT = False


def run(session: Session) -> None:
    """Adds the figures of every round. Raises HarnessError when an answer was wrong."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kip-bench-")))
        if os.geteuid() == 0:
            rooms = stack.enter_context(matrix_local.namespaces(PODS))
        else:
            rooms = [([], f"127.0.0.{10 + number}") for number in range(PODS)]
        places, machines = stack.enter_context(matrix_local.village(rooms, folder))
        driver = stack.enter_context(
            Driver(places, machines, folder / "none", worker="bench", host_prober=matrix_local.PROBER)  # type: ignore[arg-type]
        )
        driver.open()
        all_open(driver)
        for _ in session.each_round("engine"):
            for repeat, timeout in ((1, 1.0), (31, 5.0)):
                result = all_open(driver, repeat=repeat, timeout=timeout)
                if result.wrong:
                    raise HarnessError(f"{result.wrong} of {result.probes} answers were wrong: {result.example}")
                if repeat == 1:
                    session.figures.add(f"engine: {result.probes} probes, local", result.seconds * 1000, "ms")
                else:
                    session.figures.add(f"engine: {result.probes:,} probes, local", result.rate, "/s")
