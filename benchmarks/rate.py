"""Long batches: how many probes a second go over nine held exec streams, and how many answers are wrong."""

from __future__ import annotations

from benchmarks.probing import all_open, judged, repeat_for
from benchmarks.session import Session

__all__ = ["ABOUT", "NEEDS_ROOT", "run"]

ABOUT = "10,000 probes over nine held exec streams: probes a second, wrong answers"
NEEDS_ROOT = True


def run(session: Session) -> None:
    """Adds the figures of every round. Raises HarnessError when an answer was wrong."""
    figures, pods = session.figures, session.pods
    with session.driver() as driver:
        driver.open()
        all_open(driver)
        for _ in session.each_round("rate"):
            result = all_open(driver, repeat=repeat_for(pods), timeout=5.0)
            figures.add(f"{result.probes:,} probes, held streams", result.rate, "/s", target=4000, is_floor=True)
            figures.add(f"{result.probes:,} probes, wrong answers", result.wrong, "", target=0)
            judged(result)
        stats = [driver.stats(place) for place in pods]
        figures.note("largest prober, MiB", round(max(stat.rss for stat in stats) / 2**20, 1))
