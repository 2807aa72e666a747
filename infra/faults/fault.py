"""What a seeded fault is, and where they are found."""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.faults import seeded
from kip_conformance.infra.targets.lab import LabCluster

__all__ = ["ON_CELLS", "ON_SITE", "Fault", "find_faults", "sample_faults"]

ON_CELLS = ("cell-a", "cell-b", "cell-private")
"""The places of the lab that faults of cells are planted in."""
ON_SITE = ("on-prem-node", "host-on-prem", "on-prem-host", "cell-b", "cell-private")
"""The places of the lab that faults of what is between a site and cells are planted in."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One defect that can be planted in a green lab.

    `kills` are the requirements that must go red, `may_redden` those that may, each with the reason; red outside of
    both is "without cause". A harness fault breaks the harness instead of the cluster: it must be noticed by at least
    one harness-error and give no fail at all. A tolerated fault is one that the harness must ride out: everything stays
    green, at default budgets; `may_redden` excuses rows whose subject is what was broken. `blinds`: what takes away too
    what the harness sees with, so that any row outside of `kills` may be a harness-error.
    `every_mode`: the fault touches Services, so that it is run in each proxy mode and not only in the first. `options`
    are further options of the run of the suites. `on_cells`: it is planted in a lab with places on cells,
    `on_site`: in one with places on cells and on premises.
    """

    name: str
    sentence: str
    plant: Callable[[LabCluster], AbstractContextManager[None]]
    kills: tuple[str, ...] = ()
    may_redden: Mapping[str, str] = field(default_factory=dict)
    is_harness: bool = False
    is_tolerated: bool = False
    blinds: bool = False
    every_mode: bool = False
    options: tuple[str, ...] = ()
    on_cells: bool = False
    on_site: bool = False

    @property
    def places(self) -> tuple[str, ...]:
        """The places, beside the foundation's, of the lab that it is planted in."""
        return ON_SITE if self.on_site else ON_CELLS if self.on_cells else ()

    @property
    def is_defect(self) -> bool:
        """Whether it is a defect of the cluster, which rows must find."""
        return not (self.is_harness or self.is_tolerated)


def sample_faults(faults: Sequence[Fault], share: float, seed: int) -> list[Fault]:
    """A share (above 0, up to 1) of the faults, at least one; the same for a seed. Raises UsageError."""
    if not 0 < share <= 1:
        raise UsageError(f"a sample of {share:g}: must be above 0 and at most 1")
    chosen = random.Random(seed).sample(sorted(fault.name for fault in faults), max(1, round(share * len(faults))))
    return [fault for fault in faults if fault.name in chosen]


def find_faults(names: Sequence[str] = ()) -> list[Fault]:
    """All faults, or the named ones, by name. Raises UsageError for an unknown name."""
    modules = pkgutil.iter_modules(seeded.__path__)
    faults = [importlib.import_module(f"{seeded.__name__}.{module.name}").FAULT for module in modules]
    known = {fault.name: fault for fault in faults}
    for name in names:
        if name not in known:
            raise UsageError(f"fault {name!r}: unknown; there are {', '.join(sorted(known))}")
    return [known[name] for name in sorted(names or known)]
