"""A whole run of the suites as a user starts it, on a lab that it stands up and takes down, caches warm."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from kip_conformance.infra.errors import HarnessError

from benchmarks.session import Session

__all__ = ["ABOUT", "NEEDS_ROOT", "run"]

ABOUT = "`pytest suites --cluster lab` from its start to its end"
NEEDS_ROOT = True

_LIMIT = 600.0


def run(session: Session) -> None:
    """Adds the figures of every round. Raises HarnessError when a run does not end with 0."""
    for _ in session.each_round("conformance"):
        with tempfile.TemporaryDirectory(prefix="kip-bench-") as out:
            command = [sys.executable, "-m", "pytest", "--pyargs", "kip_conformance.suites", "--cluster", "lab"]
            start = time.monotonic()
            done = subprocess.run(
                [*command, "--kip-out", out, "-p", "no:cacheprovider"],
                capture_output=True,
                text=True,
                timeout=_LIMIT,
                check=False,
            )
            seconds = time.monotonic() - start
        if done.returncode != 0:
            last = "\n".join(done.stdout.splitlines()[-20:])
            raise HarnessError(f"a run of the suites ended with {done.returncode}, so its time means nothing:\n{last}")
        session.figures.add("conformance: whole run, warm", seconds, "s", target=45)
