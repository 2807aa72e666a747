"""The probing engine by itself: nine probers as local processes over pipes, no cluster and no exec stream.

What a matrix costs here is the probers' and the driver's own work; what it costs more in matrix.py is the cluster's.
"""

from __future__ import annotations

from benchmarks.local_probers import SILENT, is_apart, local_driver
from benchmarks.probing import all_denied, all_open, judged, repeat_for
from benchmarks.session import PODS, Session

__all__ = ["ABOUT", "NEEDS_ROOT", "run"]

ABOUT = "the same matrix and batches among nine local processes: the engine alone"
NEEDS_ROOT = False


def run(session: Session) -> None:
    """Adds the figures of every round. Raises HarnessError when an answer was wrong."""
    figures = session.figures
    with local_driver(PODS) as driver:
        all_open(driver)
        for _ in session.each_round("engine"):
            result = judged(all_open(driver))
            figures.add(f"engine: {result.probes} probes, all open, pipes", result.seconds * 1000, "ms")
            if is_apart():  # on loopback there is no address that keeps silent
                result = judged(all_denied(driver, address=SILENT))
                figures.add(f"engine: {result.probes} probes, all dropped, pipes", result.seconds * 1000, "ms")
            result = judged(all_open(driver, repeat=repeat_for(driver.places), timeout=5.0))
            figures.add(f"engine: {result.probes:,} probes, pipes", result.rate, "/s")
