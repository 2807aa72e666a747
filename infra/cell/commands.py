"""Programs that the agent runs to their end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from kip_conformance.infra.cell.problems import CellProblem

__all__ = ["last_line", "own_program", "run"]


def run(argv: Sequence[str], *, stdin: str = "", seconds: float = 30.0) -> str:
    """What it wrote to stdout. Raises CellProblem with its last line on stderr, when it fails or takes too long."""
    try:
        done = subprocess.run(argv, input=stdin.encode(), capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise CellProblem(f"{os.path.basename(argv[0])} still ran after {seconds:g} s") from error
    except OSError as error:
        raise CellProblem(f"{argv[0]} cannot be run: {error.strerror}; is it on the machine image?") from error
    if done.returncode != 0:
        why = last_line(done.stderr) or f"exit code {done.returncode}"
        raise CellProblem(f"{os.path.basename(argv[0])} {' '.join(argv[1:3])}: {why}")
    return done.stdout.decode(errors="replace")


def last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def own_program() -> list[str]:
    """The command that starts this archive again; from a folder of sources, the same module."""
    python = [sys.executable, "-I", "-S", "-B"]
    if os.path.isfile(sys.path[0]):
        return [*python, sys.path[0]]
    start = "import sys; sys.path[:] = sys.argv.pop(1).split(':'); from kip_conformance.infra.cell.main import main"
    return [*python, "-c", f"{start}; raise SystemExit(main('sources'))", ":".join(sys.path)]
