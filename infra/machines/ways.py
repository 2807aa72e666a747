"""A route on a machine for a while: to somewhere else by the same way as to what it knows already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.protocol import Machine

__all__ = ["routed_like"]


@contextlib.contextmanager
def routed_like(machine: Machine, cidr: str, known: str) -> Iterator[None]:
    """The machine's route to `cidr` is the one that it has to `known`, for the length of the block.

    Raises HarnessError when it has no route to `known`.
    """
    said = run_checked(machine, ["ip", "-4", "route", "show", known]).decode().split("\n")[0].split()
    if not said or said[0] != known:
        raise HarnessError(f"{machine.name}: it has no route to {known}")
    run_checked(machine, ["ip", "-4", "route", "replace", cidr, *said[1:]])
    try:
        yield
    finally:
        run_checked(machine, ["ip", "-4", "route", "del", cidr])
