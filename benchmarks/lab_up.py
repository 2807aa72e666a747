"""How long a lab takes from nothing, and how much memory it has, by the command that a user types.

Caches are warm. Memory is taken in labs of its own, because reading it takes time from the lab that is coming up.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.state import LabFolder

from benchmarks.memory import pss, supervisor_of
from benchmarks.session import Session, new_run

__all__ = ["ABOUT", "NEEDS_ROOT", "run"]

ABOUT = "a lab from nothing to nodes Ready and to all places answering, and its memory then"
NEEDS_ROOT = True

READY, ANSWERING = "nodes Ready", "places answer"
_CLI = (str(Path(sys.executable).with_name("kip-conformance")),)


def run(session: Session) -> None:
    """Adds the figures of every round."""
    figures = session.figures
    stand_up(lambda _line, _at: None)  # what is not in the cache yet is no part of warm
    for _ in session.each_round("lab-up, time"):
        reached: dict[str, float] = {}
        total = stand_up(lambda line, at, reached=reached: reached.setdefault(line, at))  # type: ignore[misc]
        figures.add("lab: nothing to nodes Ready", _when(reached, READY), "s", target=10)
        figures.add("lab: nothing to all places answering", _when(reached, ANSWERING), "s")
        figures.add("lab: `up` as a whole command", total, "s")
    for _ in session.each_round("lab-up, memory"):
        for what, sizes in memory().items():
            figures.add(f"lab: memory when {what}", sum(sizes.values()), "MiB", target=1536)
            ordered = sorted(sizes.items(), key=lambda item: -item[1])
            figures.note(f"MiB by program when {what}", {name: round(size, 1) for name, size in ordered})


def memory() -> dict[str, dict[str, float]]:
    """MiB by program of a lab of its own, when nodes are Ready and when its places answer."""
    taken: dict[str, dict[str, float]] = {}
    run_id = new_run()

    def look(line: str, _at: float) -> None:
        for moment in (READY, ANSWERING):
            if line.endswith(moment):
                taken[moment] = pss(supervisor_of(LabFolder.of(run_id).path))

    stand_up(look, run_id)
    if len(taken) < 2:
        raise HarnessError(f"`kip-conformance up` did not say {READY!r} and {ANSWERING!r}")
    return taken


def stand_up(heard: Callable[[str, float], object], run_id: str = "") -> float:
    """`kip-conformance up` and `clean`; `heard` gets each line with the seconds since the start. Returns seconds of up.

    Raises HarnessError with the command's last words when it fails; nothing is left then either.
    """
    run_id = run_id or new_run()
    start = time.monotonic()
    process = subprocess.Popen(
        [*_CLI, "up", "--run", run_id], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    said = ""
    try:
        assert process.stderr is not None
        for line in process.stderr:
            said = line.strip()
            heard(said, time.monotonic() - start)
        if process.wait() != 0:
            raise HarnessError(f"`kip-conformance up` ended with {process.returncode}: {said}")
        return time.monotonic() - start
    finally:
        process.terminate()
        process.wait()
        subprocess.run([*_CLI, "clean", "--run", run_id], stdout=subprocess.DEVNULL, check=False)


def _when(reached: dict[str, float], moment: str) -> float:
    for line, at in reached.items():
        if line.endswith(moment):
            return at
    raise HarnessError(f"`kip-conformance up` did not say {moment!r}")
