"""Commands on a machine that must succeed."""

from __future__ import annotations

from collections.abc import Sequence

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Machine

__all__ = ["run_checked"]


def run_checked(machine: Machine, argv: Sequence[str], *, stdin: bytes = b"") -> bytes:
    """The command's output. Raises HarnessError with what it said when it failed."""
    done = machine.run(argv, stdin=stdin)
    if done.returncode != 0:
        raise HarnessError(f"{machine.name}: {' '.join(argv)} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
